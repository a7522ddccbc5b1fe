"""How other people's scripts wrap a network's weights: averages, outer mappings, prefixes of names."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .checkpoint import CheckpointError

# Where scripts keep the moving average of the weights (EMA), which is what they evaluate and release:
# timm's training, torchvision's, DINO's and others.
AVERAGES = ("state_dict_ema", "model_ema", "model_ema_state_dict", "ema_state_dict", "ema_model", "ema")
# Where they keep the weights themselves; DeepSpeed under 'module'.
RAW = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights", "module")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "ema.", "ema_model.")
COUNTERS = ("n_averaged", "steps", "num_updates")  # of averages, beside the weights
DEEPEST = 4  # mappings inside mappings


class State(NamedTuple):
    """Tensors by name, and a note where they were chosen among several."""

    tensors: dict[str, Tensor]
    note: str


def find_state(checkpoint: Any, filename: str, average: bool = True) -> State:
    """The state dict in what a file holds.

    Args:
        average: of weights and their moving average take the average, as timm and torchvision do when they
            evaluate. A file of MMEngine's holds the average as its weights.

    Raises:
        CheckpointError: where it holds none.
    """
    note, node = "", checkpoint
    for _ in range(DEEPEST):
        if is_state(node):
            state = plain(node)
            if odd := [name for name in state if is_odd(state[name])]:
                kind = str(state[odd[0]].dtype).removeprefix("torch.")
                raise CheckpointError(
                    f"{filename} has tensors without real numbers in them: {odd[0]} ({kind})"
                )
            return State(state, note)
        if not isinstance(node, dict):
            break
        averaged = (
            [] if is_of_mmengine(node) else [key for key in AVERAGES if isinstance(node.get(key), dict)]
        )
        raw = [key for key in RAW if isinstance(node.get(key), dict)]
        if averaged and raw:
            kind, other = ("the average", "raw ones") if average else ("the raw weights", "average")
            key = averaged[0] if average else raw[0]
            note = f"{kind}, '{key}', of a file that holds the {other} as well"
        elif averaged or raw:
            key = (averaged or raw)[0]
        else:
            break
        node = node[key]
    keys = [str(key) for key, value in node.items() if is_state(value)] if isinstance(node, dict) else []
    way_on = f"; it has one below {' and '.join(map(repr, keys))}: save that alone" if keys else ""
    raise CheckpointError(f"{filename} holds no state dict, a mapping of names to tensors{way_on}")


def is_state(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and all(isinstance(name, str) for name in node)
        and all(isinstance(value, Tensor) for name, value in node.items() if name not in COUNTERS)
    )


def is_of_mmengine(checkpoint: dict[str, Any]) -> bool:
    """MMEngine's EMAHook exchanges the two when it saves: 'ema_state_dict' are the raw weights."""
    meta = checkpoint.get("meta")
    return "message_hub" in checkpoint or (isinstance(meta, dict) and "mmengine_version" in meta)


def plain(state: dict[str, Any]) -> dict[str, Tensor]:
    """Names without what parallel, compiled or averaged training put before all of them."""
    state = {name: value for name, value in state.items() if name not in COUNTERS}
    while state:
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
        state = {name: value for name, value in state.items() if name not in COUNTERS}
    return state


def is_average(beginning: str) -> bool:
    """Whether names that begin so, such as 'ema_model.', are of an average."""
    parts = beginning.removesuffix(".").split(".")
    return any(part in AVERAGES or "ema" in part.lower().split("_") for part in parts)


def is_odd(tensor: Tensor) -> bool:
    """Whether a tensor is no plain array of numbers, with values that a layer could take."""
    return (
        tensor.is_meta
        or tensor.is_quantized
        or tensor.is_nested
        or tensor.is_complex()
        or tensor.layout != torch.strided
    )
