"""What every folder of a user's data can say, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

# What people call a split, where a folder holds nothing else of its name.
ALIASES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


class DataError(ValueError):
    """Data that cannot work; the message names everything that is wrong with it."""


class Split(Protocol):
    """One split of a folder; `per_class` counts what there is of each label."""

    @property
    def images(self) -> int: ...

    @property
    def per_class(self) -> tuple[int, ...]: ...


class Folder(Protocol):
    """A folder that was checked and can be trained on; `classes` are in the order of the label numbers."""

    @property
    def root(self) -> Path: ...

    @property
    def splits(self) -> Mapping[str, Split]: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def only(self, classes: Sequence[str]) -> Any:
        """The folder as if it had these classes alone, in this order.

        Raises:
            DataError: where it has no such class, or a split nothing of them.
        """

    def describe(self, width: int = 100) -> str:
        """The splits, how much is in them and of each class, and the notes; `width` in characters."""


def unusable(root: Path, problems: Sequence[str]) -> DataError:
    return DataError("\n  - ".join([f"{root} cannot be used as it is:", *problems]))


def chosen_labels(folder: Folder, classes: Sequence[str]) -> list[int]:
    """The labels of those of a folder's classes that --classes asks for.

    Raises:
        DataError: where it has no such class, or is asked for one twice.
    """
    unknown = [name for name in classes if name not in folder.classes]
    if unknown or len(set(classes)) < len(classes):
        wrong = f"has no class {', '.join(unknown)}" if unknown else "is asked for a class twice"
        raise DataError(f"--classes: {folder.root} {wrong}; its classes are {', '.join(folder.classes)}")
    return [folder.classes.index(name) for name in classes]


def counts_of(folder: Folder, labels: Sequence[int], what: str) -> dict[str, tuple[int, ...]]:
    """How much there is of these labels, by split.

    Args:
        what: is counted, such as 'object'.

    Raises:
        DataError: where a split has nothing of them.
    """
    counts = {name: tuple(split.per_class[i] for i in labels) for name, split in folder.splits.items()}
    for name, per_class in counts.items():
        if not sum(per_class):
            asked = ", ".join(folder.classes[label] for label in labels)
            raise DataError(f"--classes: {name} has no {what} of the classes {asked}")
    return counts
