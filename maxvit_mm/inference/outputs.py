"""Where results go: pictures, videos, tables, one folder for all."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, TypeVar

import cv2
import numpy as np

from .known_classes import Classes
from .sources import Frame, Source
from .videos import VideoFile

RESULTS = "predictions.json"
TABLE = "predictions.csv"
WRITES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
Result = TypeVar("Result")


class Outputs(ABC, Generic[Result]):
    """Writes results into a folder: `with ... as outputs: outputs.add(frame, found)`. A task has its own.

    Args:
        folder: made where it is not there.
        draw: makes pictures, of which videos are made; None where there are to be none.
        table: write `predictions.csv`.

    Attributes:
        columns: of the table.
        results: `predictions.json`, which grows as images are looked at.
        images: how many were added.
    """

    columns: ClassVar[Sequence[str]]
    results: AbstractContextManager[Any]

    def __init__(
        self,
        folder: Path,
        classes: Classes,
        draw: Callable[[np.ndarray, Result], np.ndarray] | None,
        table: bool = False,
    ):
        self.folder, self.classes, self.draw = folder, classes, draw
        self.with_table = table
        self.images = 0
        self.places: dict[Source, Path] = {}
        self.taken: set[Path] = set()
        self.video: VideoFile | None = None
        self.source: Source | None = None
        self.stack = ExitStack()

    def __enter__(self) -> Outputs[Result]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stack.enter_context(self.results)
        if self.with_table:
            file = self.stack.enter_context((self.folder / TABLE).open("w", newline="", encoding="utf-8"))
            self.table = csv.writer(file)
            self.table.writerow(self.columns)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish_video()
        self.stack.close()

    def discard(self) -> None:
        """Where nothing could be read, take away what holds nothing: files, and the folder if it is empty."""
        for name in (RESULTS, TABLE):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # something of the user's is in it
            self.folder.rmdir()

    def add(self, frame: Frame, found: Result) -> None:
        """One image, or one frame of a video, and its result.

        Raises:
            OSError: where it cannot be written.
        """
        if frame.source != self.source:
            self.finish_video()
            self.source = frame.source
            self.place = self.place_of(frame.source)
        self.images += 1
        self.record(frame, found)
        if self.with_table:
            where = [str(frame.source.place), "" if frame.number is None else frame.number]
            self.table.writerows([*where, *row] for row in self.rows(frame, found))
        if self.draw is None:
            return
        picture = self.draw(frame.image, found)
        if frame.number is None:
            save(self.place, picture)
        else:
            if self.video is None:
                self.video = VideoFile(self.place, picture, frame)
            self.video.add(picture)

    @abstractmethod
    def record(self, frame: Frame, found: Result) -> None:
        """Write a result into `results`, and into what files the task has besides."""

    @abstractmethod
    def rows(self, frame: Frame, found: Result) -> Sequence[Sequence[object]]:
        """Lines of the table, without `columns`' file and frame."""

    @abstractmethod
    def describe(self) -> str:
        """All that was added, in words."""

    def notes(self) -> Iterator[str]:
        """What a user may not have meant."""
        yield from ()

    def place_of(self, source: Source) -> Path:
        """The file for a source, which no other source has."""
        place = self.folder / source.place
        if source.kind != "image":
            place = place.with_suffix(".mp4")
        elif place.suffix.lower() not in WRITES:
            place = place.with_suffix(".png")
        return self.free(place)

    def free(self, place: Path) -> Path:
        """A place, or one like it that was not taken before."""
        free, number = place, 2
        while free in self.taken:
            free, number = place.with_stem(f"{place.stem}_{number}"), number + 1
        self.taken.add(free)
        return free

    def finish_video(self) -> None:
        if self.video is not None:
            self.video.close()
            self.video = None


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"{path} could not be written: is the disk full?")


def safe_name(name: str) -> str:
    """A class's name as that of a folder."""
    return "".join(c if c.isalnum() or c in " -_." else "_" for c in name).strip(". ") or "class"


def would_overwrite(folder: Path, sources: list[Source]) -> list[str]:
    """Sources that pictures in a folder would be written over."""
    return [s.name for s in sources if (folder / s.place).resolve() == Path(s.name).resolve()]
