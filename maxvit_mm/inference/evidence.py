"""What a model's result holds that can be explained, a row a kind of result: no caller asks which one it has.

objects      of a detector: a box with a class and a score
regions      of a segmenter: the pixels that are predicted as a class
classes      of a classifier: a class of all that the network sees
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from torch import Tensor

Box = tuple[float, float, float, float]


class Found(NamedTuple):
    """An object, a region or a class.

    Attributes:
        label: the number of its class.
        box: left, top, right, bottom in the image's pixels.
        pixels: which of the image's pixels are it, [height, width] of bool; None where all in the box are.
    """

    name: str
    score: float
    box: Box
    label: int
    pixels: np.ndarray | None = None

    @property
    def centre(self) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


class Evidence(ABC):
    """One kind of result.

    Attributes:
        key: of the result in a data sample.
        trained: what gives such results.
        lowest: the score from which on something is looked at, where nobody says.
        most: how many are, where no class is named; None for all.
    """

    key: ClassVar[str]
    trained: ClassVar[str]
    lowest: ClassVar[float] = 0.0
    most: ClassVar[int | None] = None

    @abstractmethod
    def found(self, sample: Any, names: Sequence[str], view: Box) -> list[Found]:
        """All that a result holds, best first.

        Args:
            names: of the classes.
            view: what the network sees of the image, in the image's pixels.
        """

    @abstractmethod
    def value(self, model: BaseModel, data: Mapping[str, Any], found: Found) -> Tensor:
        """What speaks for something that was found, one number that can be differentiated.

        Args:
            data: what the test pipeline made of the image.
        """

    @abstractmethod
    def again(self, sample: Any, found: Found) -> float:
        """How much of it a changed image's result still holds, 0 or more."""

    @abstractmethod
    def words(self, found: Found) -> str:
        """What it is looked from, for a title."""


class Objects(Evidence):
    key, trained, lowest = "pred_instances", "detector", 0.3

    def found(self, sample: Any, names: Sequence[str], view: Box) -> list[Found]:
        instances = sample.pred_instances
        boxes = instances.bboxes.reshape(-1, 4).tolist()
        several = zip(instances.labels.tolist(), instances.scores.tolist(), boxes, strict=True)
        every = [Found(names[label], score, tuple(box), label) for label, score, box in several]
        return sorted(every, key=lambda each: -each.score)

    def value(self, model: BaseModel, data: Mapping[str, Any], found: Found) -> Tensor:
        instances = result_of(model, data).pred_instances
        away = (instances.bboxes.reshape(-1, 4) - instances.bboxes.new_tensor(found.box)).abs().sum(1)
        away[instances.labels != found.label] = torch.inf
        return instances.scores[away.argmin()]

    def again(self, sample: Any, found: Found) -> float:
        """The best overlap times score of its class."""
        instances = sample.pred_instances
        alike = instances[instances.labels == found.label]
        if len(alike) == 0:
            return 0.0
        boxes = alike.bboxes.reshape(-1, 4)
        overlap = bbox_overlaps(boxes, boxes.new_tensor([found.box]))[:, 0]
        return float((overlap * alike.scores).max())

    def words(self, found: Found) -> str:
        return f"the box of a {found.name} (score {found.score:.2f})"


class Regions(Evidence):
    """Scores are mean probabilities over the pixels; the largest region is the first."""

    key, trained = "seg_logits", "segmenter"

    def found(self, sample: Any, names: Sequence[str], view: Box) -> list[Found]:
        labels, every = sample.pred_sem_seg.data.reshape(sample.pred_sem_seg.shape[-2:]), []
        for label in labels.unique().long().tolist():
            pixels = (labels == label).cpu().numpy()
            rows, columns = (np.flatnonzero(pixels.any(axis)) for axis in (1, 0))
            box = float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
            each = Found(names[label], 0.0, box, label, pixels)
            every.append(each._replace(score=self.again(sample, each)))
        return sorted(every, key=lambda each: -int(each.pixels.sum()))  # type: ignore[union-attr]

    def value(self, model: BaseModel, data: Mapping[str, Any], found: Found) -> Tensor:
        """The mean of the class's logit over its pixels, as Seg-Grad-CAM has it (arXiv 2002.11434)."""
        return self.over(result_of(model, data).seg_logits.data, found)

    def again(self, sample: Any, found: Found) -> float:
        logits = sample.seg_logits.data
        # Of one output for two classes MMSegmentation gives the second one's probability.
        probabilities = torch.cat([1 - logits, logits]) if len(logits) == 1 else logits.softmax(0)
        return float(self.over(probabilities, found))

    def over(self, maps: Tensor, found: Found) -> Tensor:
        of_class = maps[min(found.label, len(maps) - 1)]
        return of_class[torch.from_numpy(found.pixels).to(of_class.device)].mean()

    def words(self, found: Found) -> str:
        return f"the pixels of {found.name} (score {found.score:.2f})"


class Classes(Evidence):
    key, trained, most = "pred_score", "classifier", 5

    def found(self, sample: Any, names: Sequence[str], view: Box) -> list[Found]:
        scores = sample.pred_score
        order = scores.argsort(descending=True, stable=True).tolist()
        return [Found(names[label], float(scores[label]), view, label) for label in order]

    def value(self, model: BaseModel, data: Mapping[str, Any], found: Found) -> Tensor:
        """The class's logit: a probability near 1 has no gradient."""
        prepared = model.data_preprocessor(pseudo_collate([data]), False)
        return model(**prepared, mode="tensor")[0, found.label]

    def again(self, sample: Any, found: Found) -> float:
        return float(sample.pred_score[found.label])

    def words(self, found: Found) -> str:
        return f"all that it saw, for {found.name} (score {found.score:.2f})"


EVIDENCE: tuple[Evidence, ...] = (Objects(), Regions(), Classes())


def evidence_in(sample: Any) -> Evidence:
    """The row of a result.

    Raises:
        ValueError: where there is nothing in it that can be explained.
    """
    for each in EVIDENCE:
        if each.key in sample:
            return each
    raise ValueError("this model finds no objects, regions or classes, so there is nothing to explain")


def result_of(model: BaseModel, data: Mapping[str, Any]) -> Any:
    return model.test_step(pseudo_collate([data]))[0]
