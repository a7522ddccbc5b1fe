"""Weights into a network: every tensor, or none and an error that names what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mmengine.logging import print_log
from torch import Tensor, nn

from ..network.relative_bias import resize_table
from .checkpoint import CheckpointError
from .wrappings import is_odd

TABLE = "relative_position_bias_table"


def load_completely(
    module: nn.Module, state: dict[str, Tensor], source: str, may_be_left_over: Sequence[str] = ()
) -> int:
    """Load `state` into `module`, every tensor, or nothing.

    A relative-position table of another partition size is resized, as the official code does.

    Args:
        source: where the tensors are from, for the message.
        may_be_left_over: beginnings of names that `module` has no use for.

    Returns:
        the number of tensors loaded, which is all that `module` has.

    Raises:
        CheckpointError: names every tensor that is missing, left over, misshapen or not finite.
    """
    own = module.state_dict()
    state = {name: state[name] for name in state if not name.startswith(tuple(may_be_left_over))}
    state = resize_tables(state, own, source)
    if problems := differences(own, state):
        raise CheckpointError(
            f"{source} does not fit {type(module).__name__}; nothing was loaded:\n{problems}"
        )
    module.load_state_dict(state)
    return len(own)


def resize_tables(state: dict[str, Tensor], own: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """`state` with its tables of `[heads, 2P - 1, 2P - 1]` at the size that `own` stores them for."""
    resized = {}
    for name in state.keys() & own.keys():
        there, here = state[name].shape, own[name].shape
        if name.endswith(TABLE) and len(there) == 3 and there[0] == here[0] and there != here:
            size = (here[1] + 1) // 2, (here[2] + 1) // 2
            resized[name] = resize_table(state[name], size)
    if resized:
        name = next(iter(resized))
        there = state[name].shape
        from_size, to_size = (f"{t.shape[1]}x{t.shape[2]}" for t in (state[name], own[name]))
        keep = f"; table_partition_size={(there[1] + 1) // 2} of the backbone would keep them as they are"
        shrunk = state[name].numel() > own[name].numel()
        print_log(
            f"{source}: resized {len(resized)} relative-position tables bilinearly, "
            f"from {from_size} to {to_size}{keep if shrunk else ''}",
            "current",
            logging.WARNING if shrunk else logging.INFO,
        )
    return {**state, **resized}


def differences(own: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """What keeps `state` from being a complete state of `own`, a line a kind; empty where nothing does."""
    odd = [name for name in state if is_odd(state[name])]
    problems = {
        "missing": sorted(own.keys() - state.keys()),
        "left over": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{name} {list(state[name].shape)} instead of {list(own[name].shape)}"
            for name in sorted(own.keys() & state.keys())
            if own[name].shape != state[name].shape
        ],
        "without real numbers": [
            name
            for name in state
            if name in odd
            or (name in own and own[name].is_floating_point() and not state[name].is_floating_point())
        ],
        "not finite": [name for name in state if name not in odd and not is_finite(state[name])],
    }
    return "\n".join(f"  {len(names)} {kind}: {shorten(names)}" for kind, names in problems.items() if names)


def is_finite(tensor: Tensor) -> bool:
    small = tensor.is_floating_point() and tensor.element_size() == 1  # float8 cannot tell
    return bool((tensor.float() if small else tensor).isfinite().all())


def shorten(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
