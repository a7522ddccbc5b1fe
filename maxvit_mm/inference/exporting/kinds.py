"""The kinds of model that are exported, a row a task: what writes one down, what compares the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mmengine.config import Config

from ...openmmlab.tasks import task_of


class Kind(NamedTuple):
    """A row.

    Attributes:
        graph: makes a module of a model, with names of `inputs` and `outputs`, or refuses a part by name.
        check: compares a file with its model, says what it saw and raises where they differ; see `checks`.
    """

    graph: Callable[[Any], Any]
    check: Callable[..., None]


# Libraries of other tasks than the model's may be missing: each row imports its own.


def detector() -> Kind:
    from .checks import check_finds
    from .graph import DetectorGraph

    return Kind(DetectorGraph, check_finds)


def segmenter() -> Kind:
    from .checks import ClassesCheck
    from .segmenting import SegmenterGraph, of_onnx, of_pytorch

    return Kind(SegmenterGraph, ClassesCheck("pixels", of_pytorch, of_onnx).check)


def classifier() -> Kind:
    from .checks import ClassesCheck
    from .classifying import ClassifierGraph, of_onnx, of_pytorch

    return Kind(ClassifierGraph, ClassesCheck("images", of_pytorch, of_onnx).check)


def maps() -> Kind:
    from .checks import check_maps
    from .pixels import MapsGraph

    return Kind(MapsGraph, check_maps)


KINDS = {"detector": detector, "segmenter": segmenter, "classifier": classifier}


def kind_of(cfg: Config, backbone: bool) -> Kind:
    """The row of a config's model, or of its backbone alone."""
    return maps() if backbone else KINDS[task_of(cfg).trained]()
