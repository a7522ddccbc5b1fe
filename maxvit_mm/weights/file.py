"""A file of weights: what its tensors are called, and what our converter wrote about them.

A checkpoint of ours is `{"state_dict": tensors, "meta": {"maxvit_mm": ABOUT}}`, in safetensors the tensors
with ABOUT as JSON in the file's own metadata.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file
from torch import Tensor

from .archive import CHECKSUM, checksum
from .checkpoint import ABOUT, CheckpointError
from .whole import draft_of
from .wrappings import find_state

ABOUT_KEYS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("arch", "convention", "origin", "source", "source_sha256", "converter"), (str,)),
    **dict.fromkeys(("stem_width", "table_partition_size"), (int,)),
    **dict.fromkeys(("widths", "depths"), (list,)),
    **dict.fromkeys(("classes", "image_size"), (int, type(None))),
    "normalization": (str, type(None)),
    **dict.fromkeys(("mean", "std"), (list, type(None))),
}


class Weights(NamedTuple):
    """What a checkpoint holds: tensors by name, and what our converter wrote about them, if it did.

    `note` says which were taken where a file holds several.
    """

    tensors: dict[str, Tensor]
    about: dict[str, Any]
    note: str = ""


def read_weights(filename: str, prefix: str | None = None, average: bool = True) -> Weights:
    """The tensors of a checkpoint, on the CPU.

    Args:
        filename: a path, or whatever else MMEngine can load from.
        prefix: read only the names that begin so, and cut it off: 'backbone.' takes a backbone out of a
            trained detector.
        average: of weights and their moving average take the average.

    Raises:
        CheckpointError: where it cannot be read safely, or holds no such tensors.
    """
    checkpoint = CheckpointLoader.load_checkpoint(filename, map_location="cpu", logger="silent")
    state, note = find_state(checkpoint, filename, average)
    meta = checkpoint.get("meta")
    about = meta.get(ABOUT, {}) if isinstance(meta, dict) else {}
    check_about(about, filename)
    if prefix is not None:
        prefix = prefix.rstrip(".") + "."
        state = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    if not state:
        named = f" whose name begins with {prefix!r}" if prefix else ""
        raise CheckpointError(f"{filename} has no tensor{named}")
    return Weights(state, about, note)


def check_about(about: Any, filename: str) -> None:
    """Refuse metadata that are not what our converter writes: they came with the file."""
    wrong = [] if isinstance(about, dict) else [ABOUT]
    if not wrong and about:
        wrong = [key for key, kinds in ABOUT_KEYS.items() if not isinstance(about.get(key, ()), kinds)]
    if wrong:
        raise CheckpointError(
            f"{filename} has damaged metadata ({', '.join(wrong)}): convert the original again, with "
            f"tools/convert_weights.py"
        )


def write_weights(path: Path, weights: Weights) -> None:
    """Write a checkpoint, .pth or .safetensors by its suffix: whole, or not at all.

    Without `about`, a plain mapping of names to tensors.

    Raises:
        CheckpointError: where it cannot be written; what was there before is still there.
    """
    with draft_of(path) as draft:
        if path.suffix == ".safetensors":
            tensors = {name: tensor.contiguous() for name, tensor in weights.tensors.items()}
            about = {ABOUT: json.dumps(weights.about)} if weights.about else {}
            save_file(tensors, draft, {"format": "pt", CHECKSUM: checksum(tensors), **about})
        elif weights.about:
            torch.save({"state_dict": weights.tensors, "meta": {ABOUT: weights.about}}, draft)
        else:
            torch.save(weights.tensors, draft)
