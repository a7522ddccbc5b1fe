"""Adam's step of parameters on a GPU: a kernel or two for all of them, instead of a dozen for each.

MMEngine makes a group of each parameter where `paramwise_cfg` is set, and an optimizer takes one group after
another. PyTorch's kernels for many tensors at once, fused or foreach, then get one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.optim import Optimizer

from .late import on_gpu

KINDS = (torch.optim.Adam, torch.optim.AdamW)  # as they are: a subclass may keep something in its groups


@HOOKS.register_module()
class FusedAdamHook(Hook):
    """Take fused kernels, for groups of equal settings together, where parameters are on a GPU.

    The same step to rounding. The groups stay as they are, for schedules and in checkpoints. An optimizer
    whose config sets `fused` or `foreach` is left alone.
    """

    def before_train(self, runner: Runner) -> None:  # behind resuming, which takes the checkpoint's settings
        wrappers: Any = getattr(runner.optim_wrapper, "optim_wrappers", {"": runner.optim_wrapper})
        for wrapper in wrappers.values():
            fuse(wrapper.optimizer)


def fuse(optimizer: Optimizer) -> bool:
    """Have an optimizer do so, in place, where its parameters are on a GPU. Returns whether it does."""
    chosen = [optimizer.defaults.get(key) for key in ("fused", "foreach")] != [None, None]
    if type(optimizer) not in KINDS or chosen or optimizer.defaults["differentiable"]:
        return False
    parameters = list(parameters_of(optimizer))
    together = bool(parameters) and all(map(on_gpu, parameters))
    for group in optimizer.param_groups:  # a checkpoint of a GPU may be resumed on a CPU, and the reverse
        group["fused"] = together or None
    for parameter in parameters:
        if state := optimizer.state.get(parameter):
            state["step"] = state["step"].to(parameter.device if together else "cpu")
    if together and not hasattr(optimizer, "_step_supports_amp_scaling"):
        optimizer._step_supports_amp_scaling = True  # type: ignore[attr-defined]  # as Adam(fused=True) does
        optimizer.step = for_all(optimizer, optimizer.step)  # type: ignore[method-assign]
    return together


def parameters_of(optimizer: Optimizer) -> Iterator[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]


def for_all(optimizer: Optimizer, step: Callable[..., Any]) -> Callable[..., Any]:
    """The same step, which sees groups of equal settings as one."""

    def of_joined_groups(*arguments: Any, **named: Any) -> Any:
        groups = optimizer.param_groups
        optimizer.param_groups = joined(groups, optimizer.defaults)
        try:
            return step(*arguments, **named)
        finally:
            optimizer.param_groups = groups

    return of_joined_groups


def joined(groups: list[dict[str, Any]], settings: Iterable[str]) -> list[dict[str, Any]]:
    """Groups with the parameters of all groups of the same settings."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in groups:
        key = tuple(group[name] for name in settings)
        found.setdefault(key, {**group, "params": []})["params"].extend(group["params"])
    return list(found.values())
