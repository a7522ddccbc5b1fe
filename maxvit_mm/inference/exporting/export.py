"""From a checkpoint to an ONNX file that was compared, or to none."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from ...openmmlab.tasks import task_of
from ...version import __version__
from ...weights import CheckpointError, draft_of, refuse_exported
from ..building import pipeline_of
from ..opening import Opened
from .checks import Say
from .kinds import kind_of
from .pixels import INPUTS
from .reading import MAPS, SUFFIX
from .writing import write_onnx


def export(
    opened: Opened, out: Path, opset: int, backbone: bool, fp16: bool, given: Sequence[np.ndarray], say: Say
) -> None:
    """Write an ONNX file, run it beside PyTorch, and keep it if both say the same.

    Args:
        opened: the checkpoint.
        backbone: the maps of the backbone alone.
        fp16: layers in half precision; pixels, RoIAlign, coordinates, scores and softmax stay in fp32.
        given: images to compare on, beside those that are always compared.
        say: is told what was compared.

    Raises:
        CheckpointError: where the model cannot be exported, or the file does not do what PyTorch does.
    """
    refuse_exported(opened.checkpoint, opened.source)
    refuse_floats(opened)
    kind = kind_of(opened.config, backbone)
    model = opened.build(deploy=True)
    graph = kind.graph(halved(opened.build(deploy=True)) if fp16 else model).eval()
    meta = opened.checkpoint.get("meta") or {}
    about = dict(
        holds=MAPS if backbone else task_of(opened.config).trained,
        meta=dict(cfg=opened.config.pretty_text, dataset_meta=classes_in(opened), epoch=meta.get("epoch")),
        inputs=INPUTS,
        precision="fp16" if fp16 else "fp32",
        exporter=f"maxvit_mm {__version__}",
    )
    with TemporaryDirectory() as folder:
        written = Path(folder, f"written{SUFFIX}")
        write_onnx(graph, written, opset, about)
        kind.check(opened, model, written, fp16, given, say)
        with draft_of(out) as draft:
            shutil.copyfile(written, draft)


def refuse_floats(opened: Opened) -> None:
    """The file takes pixels as they are decoded, and normalises them itself."""
    prepared = pipeline_of(opened.config, tta=False)(dict(img=np.zeros((64, 64, 3), np.uint8), img_id=0))
    if prepared["inputs"].dtype is not torch.uint8:
        raise CheckpointError(
            f"the config's test pipeline makes images of {prepared['inputs'].dtype}, and an ONNX file takes "
            "bytes: leave Normalize and to_float32 to the model's data_preprocessor"
        )


def classes_in(opened: Opened) -> dict[str, Any]:
    return dict(classes=list(opened.classes.names), palette=[list(each) for each in opened.classes.palette])


def halved(model: Any) -> nn.Module:
    """The layers of a model in half precision."""
    for name, part in model.named_children():
        if name != "data_preprocessor":
            part.half()
    return model
