"""Reading checkpoints safely, and writing them whole.

A checkpoint is a file from a stranger. safetensors holds nothing but tensors and text;
`torch.load(weights_only=True)` makes tensors and plain containers out of a file, and the few kinds of
object, named here, that MMEngine's own training checkpoints hold. Neither runs code. Importing this module
makes that MMEngine's way to read local files, for `load_from` and `--resume` as well.

A checkpoint of ours is `{"state_dict": tensors, "meta": {"maxvit_mm": ABOUT}}`, in safetensors the tensors
with ABOUT as JSON in the file's own metadata.
"""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

NUMPY_CORE = np._core if hasattr(np, "_core") else np.core  # numpy 2 renamed it


ABOUT = "maxvit_mm"  # where a file keeps what we know about it


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says what it is and what to do."""


class Weights(NamedTuple):
    """What a checkpoint holds: tensors by name, and what our converter wrote about them, if it did."""

    tensors: dict[str, Tensor]
    about: dict[str, Any]


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
    if path.suffix == ".safetensors":
        return load_safetensors(path)
    try:
        with only_weights():
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
    return without_config(checkpoint)


@contextmanager
def only_weights() -> Iterator[None]:
    """Within it no `torch.load` runs code, however it is called and whatever the shell has set."""
    force, forbid = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = {name: os.environ.pop(name) for name in (force, forbid) if name in os.environ}
    os.environ[force] = "1"
    try:
        with torch.serialization.safe_globals(TRAINING_LOG):
            yield
    finally:
        del os.environ[force]
        os.environ.update(before)


def without_config(checkpoint: Any) -> Any:
    """MMEngine's old checkpoints hold their config, which resuming would execute."""
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("meta"), dict):
        checkpoint["meta"].pop("config", None)
    return checkpoint


def load_remotely(load: Callable) -> Callable:
    """One of MMEngine's ways to fetch a checkpoint, made to read it safely."""

    def safely(filename: str, map_location: Any = None, **arguments: Any) -> Any:
        try:
            with only_weights():
                return without_config(load(filename, map_location=map_location, **arguments))
        except pickle.UnpicklingError as error:
            raise CheckpointError(
                f"{filename} holds more than tensors, and loading it could run code: it was not loaded. "
                f"PyTorch says: {first_reason(error)}"
            ) from error

    return safely


for scheme, load in list(CheckpointLoader._schemes.items()):
    if scheme:
        CheckpointLoader.register_scheme(prefixes=scheme, loader=load_remotely(load), force=True)


def load_safetensors(path: Path) -> dict[str, Any]:
    """A .safetensors file in the form of other checkpoints."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            about = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file ({error}): get it again") from error
    return {"state_dict": tensors, "meta": {ABOUT: about}}


def first_reason(error: Exception) -> str:
    """PyTorch's own words, less its advice to load unsafely."""
    lines = [line.strip() for line in str(error).splitlines()]
    reasons = [line for line in lines if line.startswith(("WeightsUnpickler", "Unsupported", "Global"))]
    return (reasons or [line for line in lines if line] or [type(error).__name__])[0]


def read_weights(filename: str, prefix: str | None = None) -> Weights:
    """The tensors of a checkpoint, on the CPU.

    Args:
        filename: a path, or whatever else MMEngine can load from.
        prefix: read only the names that begin so, and cut it off: 'backbone.' takes a backbone out of a
            trained detector.
    """
    checkpoint = CheckpointLoader.load_checkpoint(filename, map_location="cpu", logger="silent")
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{filename} holds no state dict, a mapping of names to tensors")
    meta = checkpoint.get("meta")
    about = meta.get(ABOUT) if isinstance(meta, dict) else None
    if prefix is not None:
        prefix = prefix.rstrip(".") + "."
        state = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    if not state:
        named = f" whose name begins with {prefix!r}" if prefix else ""
        raise CheckpointError(f"{filename} has no tensor{named}")
    return Weights(state, about if isinstance(about, dict) else {})


def write_weights(path: Path, weights: Weights) -> None:
    """Write a checkpoint, .pth or .safetensors by its suffix: whole, or not at all.

    Without `about`, a plain mapping of names to tensors.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    draft = Path(name)
    try:
        if path.suffix == ".safetensors":
            tensors = {name: tensor.contiguous() for name, tensor in weights.tensors.items()}
            about = {ABOUT: json.dumps(weights.about)} if weights.about else {}
            save_file(tensors, draft, {"format": "pt", **about})
        elif weights.about:
            torch.save({"state_dict": weights.tensors, "meta": {ABOUT: weights.about}}, draft)
        else:
            torch.save(weights.tensors, draft)
        draft.chmod(0o666 & ~current_umask())  # a temporary file is its owner's alone
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
