"""What MMDetection asks of the package `panopticapi`, which is in no index, where that is absent.

Colours and ids, as COCO's panoptic PNG files have them, and panoptic quality, after Kirillov et al., Panoptic
Segmentation (CVPR 2019), section 4: segments of prediction and truth that are of one class, with an IoU above
0.5, are matched, and for each class

    PQ = sum of the matched IoUs / (TP + FP / 2 + FN / 2) = SQ x RQ
    SQ = mean of the matched IoUs,  RQ = TP / (TP + FP / 2 + FN / 2)

Who is matched, and what of void and crowd counts, is MMDetection's own code (`pq_compute_single_core`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKAGE = "panopticapi"
VOID = 0  # the id of pixels that belong to no segment
OFFSET = 256**3  # ids are smaller
BYTES = (1, 256, 256**2)  # what red, green and blue count in an id


def rgb2id(colour: Any) -> NDArray[np.int32]:
    """The ids of colours. colour: [..., 3], red first -> [...]."""
    return (np.asarray(colour, np.int32) * np.array(BYTES, np.int32)).sum(-1, dtype=np.int32)


def id2rgb(ids: Any) -> NDArray[np.uint8]:
    """The colours of ids, red first. ids: [...], from 0 to OFFSET - 1 -> [..., 3]."""
    return (np.asarray(ids)[..., None] // np.array(BYTES) % 256).astype(np.uint8)


@dataclass
class Tally:
    """A class's matched segments, their summed IoU, and the segments that have no match."""

    iou: float = 0.0
    tp: int = 0
    fp: int = 0
    fn: int = 0

    def add(self, other: Tally) -> None:
        self.iou += other.iou
        self.tp += other.tp
        self.fp += other.fp
        self.fn += other.fn

    def seen(self) -> bool:
        """Whether truth or prediction has a segment of the class."""
        return self.tp + self.fp + self.fn > 0

    def quality(self) -> dict[str, float]:
        """PQ, SQ and RQ, from 0 to 1; 0 of a class that was not seen."""
        segments = self.tp + 0.5 * (self.fp + self.fn)
        return {
            "pq": self.iou / segments if segments else 0.0,
            "sq": self.iou / self.tp if self.tp else 0.0,
            "rq": self.tp / segments if segments else 0.0,
        }


class PQStat:
    """A `Tally` of each category id, summed over images."""

    def __init__(self) -> None:
        self.tallies: dict[int, Tally] = {}

    def __getitem__(self, category: int) -> Tally:
        return self.tallies.setdefault(category, Tally())

    def __iter__(self) -> Iterator[int]:
        return iter(self.tallies)

    def __iadd__(self, other: PQStat) -> PQStat:
        for category in other:
            self[category].add(other[category])
        return self

    def pq_average(
        self, categories: Mapping[int, Mapping[str, Any]], isthing: bool | None
    ) -> tuple[dict[str, float], dict[int, dict[str, float]]]:
        """The qualities, averaged over the categories that were seen, and those of each category.

        Args:
            categories: by id, as in COCO's files.
            isthing: of things alone, or of stuff alone; of both if None.

        Returns:
            pq, sq and rq, with the number of categories as n; nan where there is none.
        """
        asked = [i for i, each in categories.items() if isthing is None or bool(each["isthing"]) is isthing]
        each = {category: self[category].quality() for category in asked}
        seen = [each[category] for category in asked if self[category].seen()]
        mean = {
            key: sum(q[key] for q in seen) / len(seen) if seen else float("nan") for key in Tally().quality()
        }
        return {**mean, "n": len(seen)}, each


def install() -> None:
    """Have `import panopticapi` find the above, unless the package itself is installed.

    MMDetection's modules that were imported before have None in its place, and are given it.
    """
    if PACKAGE in sys.modules or find_spec(PACKAGE) is not None:
        return
    names = {"VOID": VOID, "OFFSET": OFFSET, "PQStat": PQStat, "rgb2id": rgb2id, "id2rgb": id2rgb}
    package = stand_in(PACKAGE, {})
    package.__path__ = []  # it has modules, and none on the disk
    for module in ("utils", "evaluation"):
        setattr(package, module, stand_in(f"{PACKAGE}.{module}", names))
    for name, early in list(sys.modules.items()):
        if name.startswith("mmdet."):
            for own, value in {**names, PACKAGE: package}.items():
                if vars(early).get(own, value) is None:
                    setattr(early, own, value)


def stand_in(name: str, content: Mapping[str, Any]) -> ModuleType:
    """A module of this name, as if it had been imported."""
    module = ModuleType(name, __doc__)
    module.__spec__ = ModuleSpec(name, loader=None, is_package=name == PACKAGE)
    module.__dict__.update(content)
    sys.modules[name] = module
    return module
