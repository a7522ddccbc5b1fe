"""What is said of whole images, as a file in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from .coco_results import about_image, write
from .known_classes import Classes
from .sources import Frame


class ImageResults:
    """A file that grows as images are looked at, and memory does not: `with ImageResults(...) as results`.

    It holds `classes`, their names in the order of their numbers, and `images`, an entry for each.
    """

    def __init__(self, path: Path, classes: Classes):
        self.path, self.names = path, classes.names
        self.images = 0

    def __enter__(self) -> ImageResults:
        self.file = self.path.open("w", encoding="utf-8")
        names = json.dumps(self.names, ensure_ascii=False)
        self.file.write(f'{{"classes": {names},\n"images": [')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.file:
            self.file.write("]}\n")

    def add(self, frame: Frame, **said: Any) -> None:
        """An image, and what is said of it."""
        self.images += 1
        write(self.file, {**about_image(frame), **said}, self.images == 1)
