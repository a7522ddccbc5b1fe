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
    """One split of a folder."""

    @property
    def images(self) -> int: ...


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
