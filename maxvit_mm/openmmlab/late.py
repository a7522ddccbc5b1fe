"""A step's losses, read once they have come from the GPU, so that no step waits for the one before it.

To read a value on the host is to wait until the GPU has done all that it was given. MMEngine reads every loss
at the end of each step, and the gradients' norm between the backward pass and the optimizer's step. The GPU
then has nothing to do until the next kernels are launched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor


class Late:
    """Numbers of a step by name, of which those on a GPU are copied behind what it still has to do."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        scalars = {name: value for name, value in values.items() if on_gpu(value)}
        self.numbers = {
            name: float(value.detach() if isinstance(value, Tensor) else value)
            for name, value in values.items()
            if name not in scalars
        }
        self.names, self.is_there = list(scalars), None
        if scalars:
            together = torch.stack([value.detach().reshape(()).double() for value in scalars.values()])
            self.copy = together.to("cpu", non_blocking=True)  # into memory that the GPU writes itself
            self.is_there = torch.cuda.Event()
            self.is_there.record(torch.cuda.current_stream(together.device))

    def read(self) -> dict[str, float]:
        """The numbers; waits for the step that they are of, and for no later one."""
        if self.is_there is None:
            return self.numbers
        self.is_there.synchronize()
        return {**self.numbers, **dict(zip(self.names, self.copy.numpy().tolist(), strict=True))}


def on_gpu(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_cuda


@HOOKS.register_module(name="RuntimeInfoHook", force=True)
class LateInfoHook(RuntimeInfoHook):
    """MMEngine's `RuntimeInfoHook`; what it notes of a step on a GPU it reads a step later.

    A logger that looks at a step, and a checkpoint, find all that was noted up to then. On a CPU nothing is
    late.
    """

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self.waiting: list[Late] = []
        self.norms = read_norms_late(runner.optim_wrapper)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        values = dict(outputs or {})
        if self.norms:
            values[runner.optim_wrapper.grad_name] = self.norms.pop()
        self.waiting.append(Late(values))
        self.note(runner, but=0 if self.is_logged(runner, batch_idx) else 1)

    def note(self, runner: Runner, but: int = 0) -> None:
        """Tell the message hub of the steps that wait, but for so many of the newest that are on a GPU."""
        while len(self.waiting) > but or (self.waiting and self.waiting[0].is_there is None):
            for name, number in self.waiting.pop(0).read().items():
                runner.message_hub.update_scalar(f"train/{name}", number)

    def is_logged(self, runner: Runner, batch_idx: int) -> bool:
        """Whether a logger writes of this step, as MMEngine's decides."""
        return self.end_of_epoch(runner.train_dataloader, batch_idx) or any(
            hook.every_n_inner_iters(batch_idx, hook.interval)
            for hook in runner.hooks
            if isinstance(hook, LoggerHook)
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if getattr(self, "waiting", None):
            self.note(runner)
            checkpoint["message_hub"]["log_scalars"] = runner.message_hub.state_dict()["log_scalars"]

    def after_train(self, runner: Runner) -> None:
        self.note(runner)
        super().after_train(runner)


def read_norms_late(wrapper: Any) -> deque[Tensor]:
    """Have MMEngine's wrapper of an optimizer on a GPU clip gradients without reading their norm.

    Returns:
        What holds the norm of the last step, a tensor; empty where nothing clips, or only values.
    """
    last: deque[Tensor] = deque(maxlen=1)
    if getattr(wrapper, "clip_grad_kwargs", None) and trains_on_gpu(wrapper):
        clip = getattr(wrapper.clip_func, "by", wrapper.clip_func)  # of a wrapper that was trained before

        def clipped(*arguments: Any, **named: Any) -> None:  # MMEngine notes no norm then
            norm = clip(*arguments, **named)
            last.extend([] if norm is None else [norm])

        clipped.by = clip  # type: ignore[attr-defined]
        wrapper.clip_func = clipped
    return last


def trains_on_gpu(wrapper: Any) -> bool:
    """Whether an optimizer of MMEngine's wrapper changes parameters on a GPU."""
    return any(on_gpu(parameter) for group in wrapper.param_groups for parameter in group["params"])
