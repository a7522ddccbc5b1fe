"""Reading checkpoints safely, and loading them completely.

A checkpoint is a file from a stranger. `torch.load(weights_only=True)` makes tensors and plain containers
out of it, and the few kinds of object, named here, that MMEngine's own training checkpoints hold; it runs
no code. Importing this module makes that MMEngine's way to read local files, for `load_from` and
`--resume` as well.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

NUMPY_CORE = np._core if hasattr(np, "_core") else np.core  # numpy 2 renamed it


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says what it is and what to do."""


def history_statistic(owner: object, name: str) -> Callable:
    """Stands in for `getattr` in a checkpoint: it gives the four statistics of MMEngine's log, no more.

    `HistoryBuffer` pickles its methods as `getattr(HistoryBuffer, 'mean')`, while a real `getattr` would
    hand a stranger's file the whole interpreter.
    """
    if owner is not HistoryBuffer or name not in ("min", "max", "current", "mean"):
        raise pickle.UnpicklingError(f"getattr({owner!r}, {name!r}) in a checkpoint")
    return getattr(HistoryBuffer, name)


# `tools/train.py --resume` reads MMEngine's log back with the weights. numpy 1 and 2 name one function
# differently, and either may have written the file.
TRAINING_LOG: list[Any] = [
    HistoryBuffer,
    (history_statistic, "builtins.getattr"),
    np.ndarray,
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    *[
        (function, f"numpy.{core}.multiarray.{function.__name__}")
        for function in (NUMPY_CORE.multiarray._reconstruct, NUMPY_CORE.multiarray.scalar)
        for core in ("core", "_core")
    ],
]


@CheckpointLoader.register_scheme(prefixes="", force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Read a local checkpoint without running code from it.

    Raises:
        CheckpointError: where there is no file, no checkpoint in it, or one that wants more than data.
    """
    path = Path(filename).expanduser()
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: name the checkpoint file in it")
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    with path.open("rb") as file:
        start = file.read(256).lstrip()
    if not start:
        raise CheckpointError(f"{path} is empty: the download or copy did not finish; get it again")
    if start[:1] == b"<":
        raise CheckpointError(
            f"{path} is a web page saved under a checkpoint's name: download the file itself"
        )
    try:
        with torch.serialization.safe_globals(TRAINING_LOG):
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, and loading it could run code: it was not loaded. "
            f"PyTorch says: {first_reason(error)}"
        ) from error
    except (RuntimeError, EOFError, OSError, IndexError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged or no PyTorch checkpoint ({first_reason(error)}): get it again"
        ) from error
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("meta"), dict):
        checkpoint["meta"].pop("config", None)  # of old MMEngine: resuming would execute it
    return checkpoint


def first_reason(error: Exception) -> str:
    """PyTorch's own words, less its advice to load unsafely."""
    lines = [line.strip() for line in str(error).splitlines()]
    reasons = [line for line in lines if line.startswith(("WeightsUnpickler", "Unsupported", "Global"))]
    return (reasons or [line for line in lines if line] or [type(error).__name__])[0]


def read_state_dict(filename: str, prefix: str | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU.

    Args:
        filename: a path, or whatever else MMEngine can load from.
        prefix: read only the names that begin so, and cut it off: 'backbone.' takes a backbone out of a
            trained detector.
    """
    checkpoint = CheckpointLoader.load_checkpoint(filename, map_location="cpu")
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{filename} holds no state dict, a mapping of names to tensors")
    if prefix is None:
        return state
    prefix = prefix.rstrip(".") + "."
    state = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    if not state:
        raise CheckpointError(f"{filename} has no tensor whose name begins with {prefix!r}")
    return state


def load_completely(
    module: nn.Module, state: dict[str, Tensor], source: str, may_be_left_over: Sequence[str] = ()
) -> int:
    """Load `state` into `module`, every tensor, or nothing.

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
    problems = {
        "missing": sorted(own.keys() - state.keys()),
        "left over": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{name} {list(state[name].shape)} instead of {list(own[name].shape)}"
            for name in own.keys() & state.keys()
            if own[name].shape != state[name].shape
        ],
        "not finite": [name for name in state if not state[name].isfinite().all()],
    }
    if any(problems.values()):
        found = "\n".join(
            f"  {len(names)} {kind}: {shorten(names)}" for kind, names in problems.items() if names
        )
        raise CheckpointError(f"{source} does not fit {type(module).__name__}; nothing was loaded:\n{found}")
    module.load_state_dict(state)
    return len(own)


def shorten(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
