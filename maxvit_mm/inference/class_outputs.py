"""What a classifier's results become: the best classes of each image, in pictures and tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import supervision as sv

from ..weights import shorten
from .classifier import TOP, Classifier
from .image_results import ImageResults
from .known_classes import Classes
from .legend import Line, with_legend
from .outputs import RESULTS, Outputs
from .pictures import larger
from .sources import Frame

COLUMNS = ("rank", "class", "number", "probability")
LISTED = 8  # classes in the summary


class ClassOutputs(Outputs[sv.Classifications]):
    """The five best classes of each image.

    Args:
        folder, pictures, table: see `Outputs`.
    """

    columns = ("file", "frame", *COLUMNS)

    def __init__(self, folder: Path, classifier: Classifier, pictures: bool = True, table: bool = False):
        super().__init__(
            folder, classifier.classes, ClassDrawing(classifier.classes) if pictures else None, table
        )
        self.results: ImageResults = ImageResults(folder / RESULTS, classifier.classes)
        self.best: Counter[str] = Counter()  # images, by their best class

    def record(self, frame: Frame, found: sv.Classifications) -> None:
        best = best_of(found)
        said = [
            {"number": label, "name": self.classes.names[label], "probability": round(probability, 5)}
            for label, probability in best
        ]
        self.results.add(frame, classes=said)
        self.best[self.classes.names[best[0][0]]] += 1

    def rows(self, frame: Frame, found: sv.Classifications) -> list[list[object]]:
        return [
            [rank, self.classes.names[label], label, round(probability, 5)]
            for rank, (label, probability) in enumerate(best_of(found), 1)
        ]

    def describe(self) -> str:
        return shorten([f"{count} {name}" for name, count in self.best.most_common()], LISTED)


class ClassDrawing:
    """Writes the five best classes and their probabilities beside an image."""

    def __init__(self, classes: Classes):
        self.classes = classes

    def __call__(self, image: np.ndarray, found: sv.Classifications) -> np.ndarray:
        """A new picture, [height, width, 3] in BGR: the image, made `larger`, and the legend."""
        lines = [
            Line(self.classes.names[label], probability, self.classes.palette[label])
            for label, probability in best_of(found)
        ]
        return with_legend(larger(image)[0], lines, self.classes.names)


def best_of(found: sv.Classifications) -> list[tuple[int, float]]:
    """The numbers of the best classes, and their probabilities."""
    labels, probabilities = found.class_id[:TOP], np.asarray(found.confidence)[:TOP]
    return [(int(label), float(each)) for label, each in zip(labels, probabilities, strict=True)]
