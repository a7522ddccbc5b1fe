"""What a training says while it runs: the time that is left, and what a loss means that looks strange."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

TENTH = 10  # the step of a run at which the time left is said
SLOW = 5.0  # seconds of a first step, from which on it is said at once
LARGE = 10.0  # of a first loss, which looks broken
OVERFLOWS = 20  # steps in a row that mixed precision may lose while it looks for its scale
RECENT = 0.02  # the newest loss's share of the smoothed one
SETTLED, LONG, RISEN = 100, 200, 1.5  # steps before it is judged, steps above, and how far above its lowest


@HOOKS.register_module()
class TimeLeftHook(Hook):
    """Say after the tenth step of a run how long the rest will take; MMEngine's log says so from then on."""

    def before_train(self, runner: Runner) -> None:
        self.first, self.started = runner.iter, time.perf_counter()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        done = runner.iter + 1 - self.first
        if done == 1:
            took = time.perf_counter() - self.started
            if took > SLOW:
                runner.logger.info(f"the first step took {took:.0f} s, reading the first images included")
        elif done == TENTH:
            # As MMEngine times the steps, without evaluations; the first is no measure.
            each = runner.message_hub.get_scalar("train/time").mean(TENTH - 1)
            rest = max(0, runner.max_iters - runner.iter - 1)
            left = timedelta(seconds=round(rest * each))
            runner.logger.info(f"{each:.2g} s a step: {left} left for {rest:,} steps, besides evaluations")


@HOOKS.register_module()
class LossWatchHook(Hook):
    """Explain a loss that looks broken and is not, and notice one that is.

    MMDetection's `CheckInvalidLossHook` looks at each fiftieth step and ends in an AssertionError.
    """

    def before_train(self, runner: Runner) -> None:
        self.first, self.lost = runner.iter, 0
        self.smooth = self.lowest = math.inf
        self.above, self.said = 0, False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        losses = {
            name: float(value.detach() if isinstance(value, Tensor) else value)
            for name, value in (outputs or {}).items()
            if "loss" in name
        }
        if "loss" not in losses:
            return
        if not math.isfinite(losses["loss"]):
            self.lose(runner, losses)
            return
        self.lost = 0
        done = runner.iter + 1 - self.first
        name = max(losses.keys() - {"loss"}, key=losses.__getitem__, default="loss")
        if runner.iter == 0 and losses[name] > LARGE:
            runner.logger.info(
                f"{name} begins at {losses[name]:.0f}. From random weights that is usual: it falls within "
                f"the first hundred steps, and so does the norm of the gradients"
            )
        self.watch(runner, losses["loss"], done)

    def lose(self, runner: Runner, losses: dict[str, float]) -> None:
        """A step without a finite loss: stop, or go on where mixed precision is still finding its scale."""
        self.lost += 1
        if hasattr(runner.optim_wrapper, "loss_scaler") and self.lost < OVERFLOWS:
            return
        broken = ", ".join(name for name, value in losses.items() if not math.isfinite(value))
        lr = runner.optim_wrapper.param_groups[0]["lr"]
        raise SystemExit(
            f"training stopped at step {runner.iter + 1}: no finite value for {broken}. The learning rate "
            f"was {lr:.2g}: try a third of it with --lr, from the start or with --resume CHECKPOINT"
        )

    def watch(self, runner: Runner, loss: float, done: int) -> None:
        """Warn, once, of a loss that has been far above its lowest for long."""
        self.smooth = loss if done == 1 else self.smooth + RECENT * (loss - self.smooth)
        if done < SETTLED:
            return
        self.lowest = min(self.lowest, self.smooth)
        self.above = self.above + 1 if self.smooth > RISEN * self.lowest else 0
        if self.above >= LONG and not self.said:
            self.said = True
            runner.logger.warning(
                f"the loss has been rising: {self.smooth:.3g} now, over {LONG} steps far above its lowest, "
                f"{self.lowest:.3g}. The learning rate may be too high: stop, and try a third of it with --lr"
            )
