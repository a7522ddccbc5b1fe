"""The objects that were found in an image, once; filtered, listed, drawn and written many times."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import supervision as sv

from ..coco_results import CocoResults
from ..evidence import Found
from ..known_classes import Classes
from ..object_outputs import COLUMNS, object_rows
from ..outputs import save
from ..pictures import Drawing
from .finding import Finding

COUNTED = ("#", *COLUMNS[:-1])  # of a table: the object's number, and its class, score and box


class ObjectFinding(Finding):
    """`Finding` of a detector: all objects in an image, best first."""

    found: sv.Detections

    def shown(self, score: float, names: Collection[str]) -> list[int]:
        """The objects with a score or more, of some classes: their places in `found`."""
        there = zip(np.asarray(self.found.confidence), self.found.data.get("class_name", ()), strict=True)
        return [i for i, (its, name) in enumerate(there) if its >= score and name in names]

    def of(self, shown: Sequence[int]) -> sv.Detections:
        return self.found.select(np.array(shown, int))

    def table(self, shown: Sequence[int]) -> list[list[object]]:
        """A row of `COUNTED` for each object; numbers are those of `found`, from 1."""
        lines = object_rows(self.of(shown))
        return [
            [i + 1, name, f"{score:.3f}", *box]
            for i, (name, score, *box, _) in zip(shown, lines, strict=True)
        ]

    def object(self, number: int) -> Found:
        """An object by its place in `found`."""
        name, score = self.found.data["class_name"][number], np.asarray(self.found.confidence)[number]
        left, top, right, bottom = self.found.xyxy[number].tolist()
        label = int(np.asarray(self.found.class_id)[number])
        return Found(str(name), float(score), (left, top, right, bottom), label)

    def write(self, folder: Path, classes: Classes, draw: Drawing, shown: Sequence[int]) -> tuple[Path, Path]:
        """A picture of some objects, and they in COCO's result format: two files in a folder."""
        picture, results = folder / f"{self.stem}_found.png", folder / f"{self.stem}_found.json"
        found = self.of(shown)
        save(picture, draw(self.frame.image, found))
        with CocoResults(results, classes) as file:
            file.add(self.frame, found)
        return picture, results
