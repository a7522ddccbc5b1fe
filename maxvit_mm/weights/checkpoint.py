"""Reading checkpoints safely.

A checkpoint is a file from a stranger. safetensors holds nothing but tensors and text;
`torch.load(weights_only=True)` makes tensors and plain containers out of a file, and the few kinds of
object, named here, that MMEngine's own training checkpoints hold. Neither runs code. Importing this module
makes that MMEngine's only way to read checkpoints, local and remote, for `load_from` and `--resume` as well.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from safetensors import safe_open

from .archive import CHECKSUM, checksum, damage

NUMPY_CORE = np._core if hasattr(np, "_core") else np.core  # numpy 2 renamed it


ABOUT = "maxvit_mm"  # where a file keeps what we know about it


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says what it is and what to do."""


class MoreThanTensorsError(Exception):
    """A file wants more than data; who knows its name says so by a `CheckpointError`.

    It is no `pickle.UnpicklingError`, on which onedl's mmengine would read the file once more.
    """


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
# Training scripts keep their command line beside the weights: a Namespace, whose values may be paths. Neither
# does anything but hold values; of paths, those that never look at a disk.
COMMAND_LINE: list[Any] = [
    argparse.Namespace,
    *[
        (pure, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")  # Python 3.13's
        for pure, name in ((PurePosixPath, "PosixPath"), (PureWindowsPath, "WindowsPath"))
    ],
]


@CheckpointLoader.register_scheme(prefixes="", force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Read a local checkpoint without running code from it.

    Raises:
        CheckpointError: where there is no file, no checkpoint in it, or one that wants more than data.
    """
    path = Path(filename).expanduser()
    if is_tensorflow(path):
        raise CheckpointError(
            f"{path} is a TensorFlow checkpoint: convert it first, with "
            f"`python tools/convert_weights.py {path} maxvit.pth`, and name that"
        )
    if path.suffix.lower() == ".onnx":
        raise CheckpointError(
            f"{path} is an exported model and has no weights to start from: name the checkpoint that it "
            "was exported from"
        )
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: name the checkpoint file in it")
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}")
    with path.open("rb") as file:
        start = file.read(256)
    if not start.strip():
        raise CheckpointError(f"{path} is empty: the download or copy did not finish; get it again")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(
            f"{path} is a web page saved under a checkpoint's name: download the file itself"
        )
    if "".join(start.decode("utf-8", errors="replace").split()).isprintable() and start[:2] != b"PK":
        raise CheckpointError(f"{path} is a text file and no checkpoint")
    # Eight bytes of length, then JSON: known by this where a file was renamed to .bin or .pth.
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return load_safetensors(path)
    if start[:2] == b"PK" and (wrong := damage(path)):
        raise CheckpointError(f"{path} is damaged or no PyTorch checkpoint ({wrong}): get it again")
    try:
        with only_weights():
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except (MoreThanTensorsError, pickle.UnpicklingError) as error:
        raise more_than_tensors(path, error) from error
    except Exception as error:  # what a damaged file asks for may fail in any way
        raise CheckpointError(
            f"{path} is damaged or no PyTorch checkpoint ({first_reason(error)}): get it again"
        ) from error
    return without_config(checkpoint)


def load_only_weights(file: Any, map_location: Any = None, *rest: Any, **options: Any) -> Any:
    """`torch.load` of tensors, plain containers and MMEngine's log; the caller's other options are not heard.

    What else this process has allowed by `torch.serialization.add_safe_globals` is not: the mmengine of onedl
    allows `getattr`.

    Raises:
        MoreThanTensorsError: where the file holds anything else.
    """
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([*TRAINING_LOG, *COMMAND_LINE])
    try:
        return torch.serialization.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise MoreThanTensorsError(first_reason(error)) from error
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)


@contextmanager
def only_weights() -> Iterator[None]:
    """Within it no `torch.load` runs code, whatever it is told, by its caller or by the shell.

    One that was taken out of torch before (`from torch import load`) is held to weights as well, with what
    this process allows.
    """
    force, forbid = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = {name: os.environ.pop(name) for name in (force, forbid) if name in os.environ}
    os.environ[force] = "1"
    load = torch.load
    torch.load = load_only_weights  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.load = load
        del os.environ[force]
        os.environ.update(before)


def without_config(checkpoint: Any) -> Any:
    """MMEngine's old checkpoints hold their config, which resuming would execute."""
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("meta"), dict):
        checkpoint["meta"].pop("config", None)
    return checkpoint


def safely(load_checkpoint: Callable) -> Callable:
    """MMEngine's one door to all its ways to fetch a checkpoint, those of plugins included, made safe."""

    @wraps(load_checkpoint)
    def load(filename: str, *arguments: Any, **options: Any) -> Any:
        try:
            with only_weights():
                return without_config(load_checkpoint(filename, *arguments, **options))
        except (MoreThanTensorsError, pickle.UnpicklingError) as error:
            raise more_than_tensors(filename, error) from error

    return load


CheckpointLoader.load_checkpoint = staticmethod(safely(CheckpointLoader.load_checkpoint))


def load_safetensors(path: Path) -> dict[str, Any]:
    """A .safetensors file in the form of other checkpoints."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            metadata = file.metadata() or {}
            about = json.loads(metadata.get(ABOUT, "{}"))
    except Exception as error:  # as above
        raise CheckpointError(
            f"{path} is damaged or no safetensors file ({first_reason(error)}): get it again"
        ) from error
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum(tensors):
        raise CheckpointError(f"{path} is damaged: its tensors are not those that were written: get it again")
    return {"state_dict": tensors, "meta": {ABOUT: about}}


def is_tensorflow(path: Path) -> bool:
    """Whether a path is a checkpoint of TensorFlow's: an index, a folder that holds one, or their prefix."""
    inside = path.is_dir() and any(path.glob("*.index"))
    return path.suffix == ".index" or inside or path.with_name(f"{path.name}.index").is_file()


def more_than_tensors(file: str | Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{file} holds more than tensors, and loading it could run code: it was not loaded. "
        f"Where it was made, save the weights alone: torch.save(model.state_dict(), FILE). "
        f"PyTorch says: {first_reason(error)}"
    )


def first_reason(error: Exception) -> str:
    """PyTorch's own words, less its advice to load unsafely."""
    text = str(error)
    reason = re.search(r"WeightsUnpickler error: .+|Trying to load unsupported .+", text)
    lines = [line.strip() for line in text.splitlines() if "weights_only" not in line]
    words = reason[0] if reason else next(filter(None, lines), type(error).__name__)
    return words.partition(" Please use ")[0]
