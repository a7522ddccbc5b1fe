"""The ONNX file: a graph translated by PyTorch's exporter, with what it knows about itself."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from ...weights import CheckpointError
from .reading import ABOUT
from .translation import TABLE

KNOWN_TO_WORK = "2.13"
EXAMPLE = (2, 3, 97, 139)  # odd, so that nothing is taken for a constant that only looks like one
LARGEST = 2 * 2**30  # bytes of an ONNX file


def write_onnx(graph: Any, path: Path, opset: int, about: Mapping[str, Any]) -> None:
    """Write a graph of `graph.py`, whose batch, height and width stay open.

    Args:
        about: what the file is to know about itself, as JSON; see `reading`.

    Raises:
        CheckpointError: where PyTorch's exporter cannot write it.
    """
    weights = sum(each.nbytes for each in (*graph.parameters(), *graph.buffers()))
    if weights > LARGEST:
        raise CheckpointError(
            f"the weights have {weights / 2**30:.1f} GiB, and an ONNX file holds {LARGEST / 2**30:.0f}: "
            "--fp16 halves them"
        )
    images = torch.randint(256, EXAMPLE, dtype=torch.uint8)
    sizes = torch.tensor([EXAMPLE[2:]] * EXAMPLE[0])
    open_ = {"images": dict.fromkeys((0, 2, 3), Dim.DYNAMIC), "sizes": {0: Dim.DYNAMIC}}
    try:
        with torch.no_grad(), quietly():
            program = torch.export.export(graph, (images, sizes), dynamic_shapes=open_, strict=False)
            written = torch.onnx.export(
                program,
                dynamo=True,
                input_names=graph.inputs,
                output_names=graph.outputs,
                opset_version=opset,
                custom_translation_table=TABLE,
                verbose=False,
            )
    except Exception as error:  # of the compiler's many kinds
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"torch {torch.__version__} cannot export this network ({said[0]}); torch {KNOWN_TO_WORK} can"
        ) from error
    assert written is not None
    written.model.metadata_props[ABOUT] = json.dumps(about)
    written.save(path, external_data=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Without the exporter's remarks on itself and on packages that are not needed here; ours are shown."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(?!maxvit_mm\b)")
            yield
    finally:
        registration.setLevel(before)
