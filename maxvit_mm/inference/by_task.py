"""How each task is served: what looks at images, what its results become. A row a task; nobody asks which."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from ..openmmlab.tasks import task_of
from .class_outputs import ClassOutputs
from .classifier import Classifier
from .detector import Detector
from .map_outputs import MapOutputs
from .object_outputs import ObjectOutputs
from .opening import Opened
from .outputs import Outputs
from .predictor import Predictor
from .segmenter import Segmenter

OF_OBJECTS = frozenset(("score_thr", "track", "crops", "ids_of"))
OF_TILES = frozenset(("tile", "overlap"))


class Service(NamedTuple):
    """A row of `BY_TASK`, found by what a training of the task gives: `Task.trained`.

    Attributes:
        outputs: made of a folder and a predictor.
        without: options of `tools/predict.py` that mean nothing for the task.
    """

    predictor: type[Predictor]
    outputs: Callable[..., Outputs[Any]]
    without: Collection[str] = frozenset()


BY_TASK = {
    Detector.trained: Service(Detector, ObjectOutputs),
    Segmenter.trained: Service(Segmenter, MapOutputs, OF_OBJECTS),
    Classifier.trained: Service(Classifier, ClassOutputs, OF_OBJECTS | OF_TILES),
}


def service_of(opened: Opened) -> Service:
    """How a checkpoint's task is served."""
    return BY_TASK[task_of(opened.config).trained]


def predictor_of(opened: Opened, device: str | None = None, **options: Any) -> Predictor:
    """A `Detector`, `Segmenter` or `Classifier`, as the checkpoint is.

    Args:
        options: of its class.

    Raises:
        CheckpointError, ValueError: as the class does.
    """
    return service_of(opened).predictor(None, opened, device, **options)
