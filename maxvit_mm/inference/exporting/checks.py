"""A written file beside the model that it is of: what is compared, and when that is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor

from ...weights import CheckpointError
from ..building import pipeline_of
from ..opening import Opened
from . import comparison as compared
from .pixels import MapsGraph
from .reading import session_of
from .running import build_onnx, outputs_of

Say = Callable[[str], None]
MAPS_TOLERANCE, HALF_MAPS_TOLERANCE = 1e-3, 0.1  # in deviations of a map
PROBABILITIES, HALF_PROBABILITIES = 1e-3, 0.1


def check_finds(
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
    say(compared.speeds_of(model, onnx, timed, pipeline))


def check_maps(
    opened: Opened, model: Any, file: Path, fp16: bool, given: Sequence[np.ndarray], say: Say
) -> None:
    """Compare the maps of a backbone, and say by how much they differ."""
    session, most = session_of(str(file)), HALF_MAPS_TOLERANCE if fp16 else MAPS_TOLERANCE
    graph = MapsGraph(model).eval()
    cases = compared.of_one_size(compared.cases_of(given))
    worst = float(np.max([compared.compare_maps(graph, session, case) for case in cases]))
    say(f"the maps of {len(cases)} batches differ by {worst:.1e} of their deviation at most")
    if not worst <= most:
        raise CheckpointError(f"that is more than {most:g}: no file was written")


class Classes(NamedTuple):
    """Classes of some places, pixels or images, by both.

    Attributes:
        places: how many.
        others: of how many the class is another one.
        ties: those of them that are nearly as probable as each other, where a rounding decides.
        worst: the largest difference of a probability.
    """

    places: int
    others: int
    ties: int
    worst: float


class ClassesCheck(NamedTuple):
    """The check of what gives classes.

    Attributes:
        places: what has a class, in the plural.
        of_pytorch: the labels [b, ...] and probabilities [b, classes, ...] of a model for a batch.
        of_onnx: the same of a file's outputs.
    """

    places: str
    of_pytorch: Callable[[Any, Mapping[str, Any]], tuple[Tensor, Tensor]]
    of_onnx: Callable[..., tuple[Tensor, Tensor]]

    def check(
        self, opened: Opened, model: Any, file: Path, fp16: bool, given: Sequence[np.ndarray], say: Say
    ) -> None:
        """Compare classes and probabilities, and say it; then how fast both are."""
        pipeline, session = pipeline_of(opened.config, tta=False), session_of(str(file))
        most = HALF_PROBABILITIES if fp16 else PROBABILITIES
        cases = compared.of_one_size(compared.cases_of(given))
        rows = []
        for case in cases:
            data = compared.prepared(case, pipeline)
            with torch.inference_mode():
                expected = self.of_pytorch(model, pseudo_collate(data))
            found = self.of_onnx(*outputs_of(session, [each["inputs"] for each in data]))
            rows.append(between(expected, found, most))
        heads = ("images", "size", self.places, "others", "ties", "probabilities")
        cells = [
            (
                case.name,
                compared.size_of(case),
                *map(str, row[:3]),
                f"{row.worst:.1e}",
            )
            for case, row in zip(cases, rows, strict=True)
        ]
        say(compared.lines([heads, *cells]))
        # A class that is no tie is another one only where a probability is.
        if not all(row.worst <= most for row in rows):
            raise CheckpointError(
                f"probabilities by ONNX Runtime and by PyTorch differ by more than {most:g}: no file was "
                "written"
            )
        timed = cases[-2] if given else cases[0]
        onnx = build_onnx(opened.config, str(file), tta=False)
        say(compared.speeds_of(model, onnx, timed, pipeline))


def between(expected: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor], most: float) -> Classes:
    """How classes and probabilities differ."""
    (ours, of_ours), (theirs, of_theirs) = expected, found
    best = of_ours.topk(2, dim=1).values
    differs = ours.reshape_as(theirs) != theirs
    tie = (best[:, 0] - best[:, 1]) <= 2 * most
    worst = float((of_ours - of_theirs).abs().max())
    return Classes(theirs.numel(), int((differs & ~tie).sum()), int((differs & tie).sum()), worst)
