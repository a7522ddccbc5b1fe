"""From a checkpoint to an ONNX file that was compared, or to none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from ...version import __version__
from ...weights import CheckpointError, draft_of, refuse_exported
from ..building import pipeline_of
from ..opening import Opened
from . import comparison as compared
from .graph import DetectorGraph, MapsGraph
from .reading import DETECTOR, MAPS, SUFFIX, build_onnx, session_of
from .writing import write_onnx

Say = Callable[[str], None]
INPUTS = {
    "images": "uint8 [batch, 3, height, width], BGR from 0 to 255 as OpenCV reads them; smaller images of a "
    "batch at the left and top",
    "sizes": "int64 [batch, 2], height and width of each image",
}
MAPS_TOLERANCE, HALF_MAPS_TOLERANCE = 1e-3, 0.1  # in deviations of a map


def export(
    opened: Opened, out: Path, opset: int, backbone: bool, fp16: bool, given: Sequence[np.ndarray], say: Say
) -> None:
    """Write an ONNX file, run it beside PyTorch, and keep it if both find the same.

    Args:
        opened: the checkpoint.
        backbone: the maps of the backbone alone.
        fp16: layers in half precision; pixels, RoIAlign, coordinates, scores and softmax stay in fp32.
        given: images to compare on, beside those that are always compared.
        say: is told what was compared.

    Raises:
        CheckpointError: where the detector cannot be exported, or the file does not do what PyTorch does.
    """
    refuse_exported(opened.checkpoint, opened.source)
    refuse_floats(opened)
    make = MapsGraph if backbone else DetectorGraph
    model = opened.build(deploy=True)
    graph = make(halved(opened.build(deploy=True)) if fp16 else model).eval()
    meta = opened.checkpoint.get("meta") or {}
    about = dict(
        holds=MAPS if backbone else DETECTOR,
        meta=dict(cfg=opened.config.pretty_text, dataset_meta=classes_in(opened), epoch=meta.get("epoch")),
        inputs=INPUTS,
        precision="fp16" if fp16 else "fp32",
        exporter=f"maxvit_mm {__version__}",
    )
    with TemporaryDirectory() as folder:
        written = Path(folder, f"written{SUFFIX}")
        write_onnx(graph, written, opset, about)
        check = check_maps if backbone else check_detector
        check(opened, MapsGraph(model).eval() if backbone else model, written, fp16, given, say)
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
    """The layers of a detector in half precision."""
    for name, part in model.named_children():
        if name != "data_preprocessor":
            part.half()
    return model


def check_detector(
    opened: Opened, model: Any, file: Path, fp16: bool, given: Sequence[np.ndarray], say: Say
) -> None:
    """Compare what both find, and say it; then how fast both are."""
    pipeline = pipeline_of(opened.config, tta=False)
    onnx = build_onnx(opened.config, str(file), tta=False)
    tolerance = compared.HALF if fp16 else compared.EXACT
    cases = list(compared.cases_of(given))
    rows = [compared.compare(model, onnx, case, pipeline, tolerance) for case in cases]
    say(compared.table(rows))
    rare = compared.RARE[tolerance]
    if not compared.is_same(rows, rare):
        others, finds = compared.others_in(rows)
        raise CheckpointError(
            f"{others} of {finds} finds are others by ONNX Runtime than by PyTorch, and one in "
            f"{1 / rare:.0f} may be: they are alone, or differ by more than {tolerance.boxes:g} pixels, "
            f"{tolerance.scores:g} of a score or {tolerance.masks:.0%} of a mask. No file was written. Where "
            "it is one or two, compare more images: --images FOLDER"
        )
    if not any(row.matched for row in rows):
        say("note: nothing was found in these images, so only that was compared: name some with --images")
    timed = cases[-1] if given else cases[0]  # not the image without objects
    ours, theirs = compared.speeds(model, onnx, timed, pipeline)
    say(
        f"{ours:.2f} images a second by PyTorch, {theirs:.2f} by ONNX Runtime: {timed.name}, with "
        f"{torch.get_num_threads()} threads of this CPU"
    )


def check_maps(
    opened: Opened, graph: Any, file: Path, fp16: bool, given: Sequence[np.ndarray], say: Say
) -> None:
    """Compare the maps of a backbone, and say by how much they differ."""
    session, most = session_of(str(file)), HALF_MAPS_TOLERANCE if fp16 else MAPS_TOLERANCE
    cases = [case for case in compared.cases_of(given) if len(case.images) == 1]
    cases.append(compared.Case("two together", [cases[1].images[0]] * 2))
    worst = float(np.max([compared.compare_maps(graph, session, case) for case in cases]))
    say(f"the maps of {len(cases)} batches differ by {worst:.1e} of their deviation at most")
    if not worst <= most:
        raise CheckpointError(f"that is more than {most:g}: no file was written")
