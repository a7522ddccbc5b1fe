"""A folder of COCO-format data as a segmenter learns it: its objects painted as label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .coco_folder import CocoFolder, Split
from .folder import DataError
from .semantic_map import BACKGROUND


@dataclass(frozen=True)
class ObjectFolder:
    """What no object covers is the class `background`: label 0, before the objects' classes."""

    objects: CocoFolder

    @property
    def root(self) -> Path:
        return self.objects.root

    @property
    def splits(self) -> dict[str, Split]:
        return self.objects.splits

    @property
    def classes(self) -> tuple[str, ...]:
        return BACKGROUND, *(name for name in self.objects.classes if name != BACKGROUND)

    @property
    def notes(self) -> tuple[str, ...]:
        painted = (
            f"label maps are painted of the objects: what none covers is {BACKGROUND}, one more class; where "
            f"they overlap, the smaller is in front; crowds are neither learnt nor evaluated"
        )
        return painted, *self.objects.notes

    def only(self, classes: Sequence[str]) -> ObjectFolder:
        """The folder as if it had these classes alone, in this order, after background, which all others are.

        Raises:
            DataError: where it has no such class, or a split has no object of them.
        """
        there = BACKGROUND in self.objects.classes
        objects = [name for name in classes if there or name != BACKGROUND]
        if not objects:
            known = ", ".join(self.objects.classes)
            raise DataError(f"--classes: {BACKGROUND} alone: name a class of objects beside it, of {known}")
        return ObjectFolder(self.objects.only(objects))

    def describe(self, width: int = 100) -> str:
        """The splits, the instances of each class and the notes; `width` in characters."""
        lines = self.objects.describe(width).splitlines()
        place = len(lines) - len(self.objects.notes)
        return "\n".join([*lines[:place], f"note: {self.notes[0]}", *lines[place:]])
