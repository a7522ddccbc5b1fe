"""A training that is resumed by another schedule than the checkpoint's, and for longer."""

from __future__ import annotations

import warnings
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

# What a scheduler's state has that changes from step to step.
RUNNING = {"last_step", "_global_step", "_last_value", "verbose", "param_name"}


@HOOKS.register_module()
class ResumedScheduleHook(Hook):
    """Resume with the schedule that the run has, where the checkpoint's is another one, and say so.

    MMEngine takes the checkpoint's, whatever the config says: a training that is resumed for longer would go
    on at the last rate of the shorter one.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if not runner._resume or not isinstance(checkpoint.get("meta"), dict):
            return
        steps = checkpoint["meta"].get("iter", 0)
        if steps >= runner.max_iters:
            runner.logger.warning(
                f"the checkpoint has trained for {steps:,} steps, and this training ends at "
                f"{runner.max_iters:,}: nothing is left to do. --epochs or --max-steps trains for longer"
            )
            return
        own, theirs = runner.param_schedulers, checkpoint.get("param_schedulers")
        saved = (checkpoint.get("optimizer") or {}).get("param_groups")
        if not isinstance(own, list) or not isinstance(theirs, list) or not saved:
            return
        groups = runner.optim_wrapper.optimizer.param_groups
        if len(saved) != len(groups) or [fixed(s.state_dict()) for s in own] == [fixed(s) for s in theirs]:
            return
        before = saved[0]["lr"]
        wind_on(runner, steps, checkpoint["meta"].get("epoch", 0))
        checkpoint["param_schedulers"] = [scheduler.state_dict() for scheduler in own]
        for old, new in zip(saved, groups, strict=True):
            old.update({name: new[name] for name in ("lr", "initial_lr") if name in new})
        about = getattr(runner.optim_wrapper, "base_param_settings", None)
        if about is not None:
            checkpoint["optimizer"]["base_param_settings"] = about
        runner.logger.warning(
            f"the schedule is another one than the checkpoint's. At step {steps:,} of {runner.max_iters:,} "
            f"the learning rate is {groups[0]['lr']:.2g}, as if it had been planned so from the start. "
            f"It had come to {before:.2g}"
        )


def fixed(state: dict[str, Any]) -> dict[str, Any]:
    """Of a scheduler's state what was set, and does not change from step to step."""
    return {key: value for key, value in state.items() if key not in RUNNING}


def wind_on(runner: Runner, steps: int, epochs: int) -> None:
    """Bring a run's new schedulers to where so many steps and epochs would have brought them."""
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    ends = {round(steps * (i + 1) / epochs) for i in range(epochs)} if by_epoch and epochs else set()
    with warnings.catch_warnings():
        # No optimizer has stepped in between.
        warnings.filterwarnings("ignore", message="Detected call of `scheduler.step\\(\\)` before")
        for step in range(1, steps + 1):
            for scheduler in runner.param_schedulers:
                if not scheduler.by_epoch or step in ends:
                    scheduler.step()
