"""What a training says while it runs: the time that is left, and what a loss means that looks strange."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any, NamedTuple

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from .late import Late

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


class Step(NamedTuple):
    """A step that was trained: its number, from 0, its learning rate, and its losses."""

    number: int
    rate: float
    losses: Late


@HOOKS.register_module()
class LossWatchHook(Hook):
    """Explain a loss that looks broken and is not, and notice one that is.

    MMDetection's `CheckInvalidLossHook` looks at each fiftieth step and ends in an AssertionError. Losses on
    a GPU are read a step later, when nothing waits for them, and before anything is evaluated or saved.
    """

    def before_train(self, runner: Runner) -> None:
        self.first, self.lost = runner.iter, 0
        self.smooth = self.lowest = math.inf
        self.above, self.said = 0, False
        self.unread: list[Step] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        losses = {name: value for name, value in (outputs or {}).items() if "loss" in name}
        if "loss" not in losses:
            return
        rate = runner.optim_wrapper.param_groups[0]["lr"]
        self.unread.append(Step(runner.iter, rate, Late(losses)))
        self.read(runner, but=1)

    def before_val(self, runner: Runner) -> None:
        self.read(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.read(runner)

    def after_train(self, runner: Runner) -> None:
        self.read(runner)

    def read(self, runner: Runner, but: int = 0) -> None:
        """Judge the steps that were not, but for so many of the newest that are on a GPU."""
        unread = getattr(self, "unread", [])  # none where nothing was trained
        while len(unread) > but or (unread and unread[0].losses.is_there is None):
            self.judge(runner, unread.pop(0))

    def judge(self, runner: Runner, step: Step) -> None:
        losses = step.losses.read()
        if not math.isfinite(losses["loss"]):
            self.lose(runner, step, losses)
            return
        self.lost = 0
        name = max(losses.keys() - {"loss"}, key=losses.__getitem__, default="loss")
        if step.number == 0 and losses[name] > LARGE:
            runner.logger.info(
                f"{name} begins at {losses[name]:.0f}. From random weights that is usual: it falls within "
                f"the first hundred steps, and so does the norm of the gradients"
            )
        self.watch(runner, losses["loss"], step.number + 1 - self.first)

    def lose(self, runner: Runner, step: Step, losses: dict[str, float]) -> None:
        """A step without a finite loss: stop, or go on where mixed precision is still finding its scale."""
        self.lost += 1
        if hasattr(runner.optim_wrapper, "loss_scaler") and self.lost < OVERFLOWS:
            return
        broken = ", ".join(name for name, value in losses.items() if not math.isfinite(value))
        raise SystemExit(
            f"training stopped at step {step.number + 1}: no finite value for {broken}. The learning rate "
            f"was {step.rate:.2g}: try a third of it with --lr, from the start or with --resume CHECKPOINT"
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
