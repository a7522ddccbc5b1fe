"""What a segmenter's label maps become: PNG files, overlays with a legend, shares of pixels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..weights import shorten
from .image_results import ImageResults
from .known_classes import Classes
from .legend import Line, with_legend
from .outputs import RESULTS, Outputs
from .pictures import larger
from .segmenter import Segmenter, dtype_of, nothing_in, shares_of
from .sources import Frame

LABEL_MAPS = "label_maps"
OPACITY = 0.55
UNLABELLED = (224, 224, 192)  # RGB of a pixel without a class, as PASCAL VOC has it
COLUMNS = ("class", "number", "pixels", "share")
LISTED = 8  # classes in the summary


class MapOutputs(Outputs[np.ndarray]):
    """Label maps, and the classes of each image with their shares of its pixels.

    Args:
        folder, pictures, table: see `Outputs`.
    """

    columns = ("file", "frame", *COLUMNS)

    def __init__(self, folder: Path, segmenter: Segmenter, pictures: bool = True, table: bool = False):
        draw = MapDrawing(segmenter.classes) if pictures else None
        super().__init__(folder, segmenter.classes, draw, table)
        self.results: ImageResults = ImageResults(folder / RESULTS, segmenter.classes)
        self.pixels: Counter[int] = Counter()  # by class
        self.all = 0

    def record(self, frame: Frame, found: np.ndarray) -> None:
        file = self.file_of(frame)
        write_map(file, found, self.classes)
        rows = self.rows(frame, found)
        said = [
            {"number": label, "name": name, "pixels": pixels, "share": share}
            for name, label, pixels, share in rows
        ]
        where = file.relative_to(self.folder).as_posix()
        self.results.add(frame, label_map=where, classes=said)
        self.pixels.update({label: pixels for _, label, pixels, _ in rows})
        self.all += found.size

    def rows(self, frame: Frame, found: np.ndarray) -> list[tuple[str, int, int, float]]:
        return [
            (self.classes.names[label], label, round(share * found.size), round(share, 6))
            for label, share in shares_of(found, len(self.classes.names))
        ]

    def describe(self) -> str:
        shares = [
            f"{100 * pixels / self.all:.1f} % {self.classes.names[label]}"
            for label, pixels in self.pixels.most_common()
        ]
        return shorten(shares, LISTED) or "no pixel of these classes"

    def file_of(self, frame: Frame) -> Path:
        """Of a label map: beside those of other images; frames of a video have a folder of their own."""
        place = self.folder / LABEL_MAPS / self.place.relative_to(self.folder)
        if frame.number is not None:
            return place / f"{frame.number:06}.png"
        return self.free(place.with_suffix(".png"))


class MapDrawing:
    """Lays label maps over their images, in the colours of the classes, with a legend beside them."""

    def __init__(self, classes: Classes):
        self.classes = classes
        self.colours = np.array(classes.palette, np.uint8)[:, ::-1]

    def __call__(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """A new picture, [height, width, 3] in BGR: the image, made `larger`, and the legend."""
        picture, times = larger(image)
        lines = [
            Line(self.classes.names[label], share, self.classes.palette[label])
            for label, share in shares_of(labels, len(self.classes.names))
        ]
        labels = cv2.resize(labels, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
        there = labels < len(self.colours)
        coloured = cv2.addWeighted(self.colours[np.where(there, labels, 0)], OPACITY, picture, 1 - OPACITY, 0)
        picture[there] = coloured[there]
        return with_legend(picture, lines, self.classes.names)


def write_map(path: Path, labels: np.ndarray, classes: Classes) -> None:
    """A label map as a PNG of the image's size: numbers of classes, and their colours in its palette.

    Of more than 255 classes it is a grey one of 16 bits, since a palette has no more.

    Raises:
        OSError: where it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(labels)
    if labels.dtype == dtype_of(0):
        colours = np.zeros((256, 3), np.uint8)
        colours[: len(classes.palette)] = classes.palette
        colours[nothing_in(labels.dtype)] = UNLABELLED
        picture.putpalette(colours.tobytes())
    picture.save(path)
