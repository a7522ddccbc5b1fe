"""What was found, drawn into the image: masks, boxes, names and scores, at sizes that fit the picture."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import supervision as sv

from ..openmmlab.loaders import palette_of
from .known_classes import Classes

SMALL = 480  # pixels along the longer side; smaller pictures are enlarged, so that names can be read
TEXT = 1 / 45  # height of a letter, of the picture's side
LINE = 1 / 350  # thickness of a box's line, of the picture's side
LINE_OF_OBJECT = 1 / 12  # its greatest thickness, of an object's shorter side, so that small ones can be seen
SMALLEST_TEXT = 10  # pixels
CROWDED = 0.2  # part of the picture that names may cover before a legend stands for them
OPACITY = 0.45
MANY = 20  # colours, where objects and not classes have colours of their own
FONT = cv2.FONT_HERSHEY_SIMPLEX


class Drawing:
    """Draws detections of some classes.

    A class has its colour. Where there is one class, each object has a colour of its own, and so has each
    track of a video.
    """

    def __init__(self, classes: Classes):
        self.by_class = colours(classes.palette)
        self.by_object = colours(palette_of(MANY))
        self.classes = classes

    def __call__(self, image: np.ndarray, found: sv.Detections) -> np.ndarray:
        """A new picture: [height, width, 3] in BGR, `enlargement` times the size of the image."""
        picture, found = enlarged(image, found)
        height, width = picture.shape[:2]
        side = (height * width) ** 0.5
        letters = letters_of(picture)
        line = max(1, round(min(LINE * side, LINE_OF_OBJECT * smallest_side(found))))
        lookup, palette = self.colouring(found)
        if found.mask is not None:
            picture = sv.MaskAnnotator(palette, OPACITY, lookup).annotate(picture, found)
        picture = sv.BoxAnnotator(palette, line, lookup).annotate(picture, found)
        labels = labels_of(found)
        letters, is_crowded = room_for(labels, letters, CROWDED * height * width)
        if is_crowded:
            return self.with_legend(picture, found, letters)
        scale = cv2.getFontScaleFromHeight(FONT, letters, max(1, letters // 12))
        annotator = sv.LabelAnnotator(
            palette,
            lookup,
            text_color=readable_on(palette),
            text_scale=scale,
            text_thickness=max(1, letters // 12),
            text_padding=max(2, letters // 4),
            smart_position=True,
        )
        return annotator.annotate(picture, found, labels)

    def colouring(self, found: sv.Detections) -> tuple[sv.ColorLookup, sv.ColorPalette]:
        if found.tracker_id is not None:
            return sv.ColorLookup.TRACK, self.by_object
        if len(self.classes.names) == 1:
            return sv.ColorLookup.INDEX, self.by_object
        return sv.ColorLookup.CLASS, self.by_class

    def with_legend(self, picture: np.ndarray, found: sv.Detections, letters: int) -> np.ndarray:
        """How many of each class, at the top left, in the colours of the classes."""
        counts = Counter(np.asarray(found.class_id).tolist())
        thickness = max(1, letters // 12)
        scale = cv2.getFontScaleFromHeight(FONT, letters, thickness)
        lookup, palette = self.colouring(found)
        for row, label in enumerate(sorted(counts)):
            is_classes = lookup == sv.ColorLookup.CLASS
            colour = palette.by_idx(label) if is_classes else sv.Color(64, 64, 64)
            text = f"{counts[label]} {self.classes.names[label]}"
            width = cv2.getTextSize(text, FONT, scale, thickness)[0][0]
            anchor = sv.Point(letters + width // 2, letters * 3 // 2 + 2 * row * letters)
            picture = sv.draw_text(
                picture, text, anchor, contrast(colour), scale, thickness, letters // 2, FONT, colour
            )
        return picture


def enlargement(height: int, width: int) -> int:
    """How many times as large as its image a picture is."""
    return max(1, -(-SMALL // max(height, width)))


def enlarged(image: np.ndarray, found: sv.Detections) -> tuple[np.ndarray, sv.Detections]:
    """A copy of the image, where it is small a larger one, and what was found in its pixels."""
    picture, times = larger(image)
    if times > 1:
        found = found.select(slice(None))
        found.xyxy = found.xyxy * times
        if found.mask is not None:
            found.mask = found.mask.resize(picture.shape[:2])
    return picture, found


def larger(image: np.ndarray) -> tuple[np.ndarray, int]:
    """A copy of the image, where it is small a larger one, and how many times as large."""
    height, width = image.shape[:2]
    times = enlargement(height, width)
    if times == 1:
        return image.copy(), 1
    return cv2.resize(image, (width * times, height * times), interpolation=cv2.INTER_CUBIC), times


def letters_of(picture: np.ndarray) -> int:
    """The height of letters that fit a picture, in pixels."""
    height, width = picture.shape[:2]
    return max(SMALLEST_TEXT, round(TEXT * (height * width) ** 0.5))


def smallest_side(found: sv.Detections) -> float:
    """The shorter side of a usual object, in pixels."""
    return float(np.median((found.xyxy[:, 2:] - found.xyxy[:, :2]).min(1))) if len(found) else 0.0


def labels_of(found: sv.Detections) -> list[str]:
    """A name, a score, and the number of a track, for each."""
    numbers = found.tracker_id if found.tracker_id is not None else [-1] * len(found)
    return [
        f"#{number} {name} {score:.2f}" if number >= 0 else f"{name} {score:.2f}"
        for name, score, number in zip(
            found.data.get("class_name", ()), np.asarray(found.confidence), numbers, strict=True
        )
    ]


def room_for(labels: list[str], letters: int, room: float) -> tuple[int, bool]:
    """The height of letters, smaller where there are many, and whether even the smallest cover too much.

    Args:
        room: pixels that all labels may cover.
    """
    letter = (
        0.7 * 1.8 * sum(map(len, labels))
    )  # pixels that letters of height 1 cover, with what is around them
    fitting = max(SMALLEST_TEXT, letters // 2)
    if letter * fitting**2 > room:
        return letters, True
    return max(fitting, min(letters, int((room / max(letter, 1)) ** 0.5))), False


def colours(palette: list[tuple[int, int, int]]) -> sv.ColorPalette:
    return sv.ColorPalette([sv.Color(*colour) for colour in palette])


def readable_on(palette: sv.ColorPalette) -> sv.ColorPalette:
    """For each colour black or white, whichever can be read on it."""
    return sv.ColorPalette([contrast(colour) for colour in palette.colors])


def contrast(colour: sv.Color) -> sv.Color:
    brightness = 0.299 * colour.r + 0.587 * colour.g + 0.114 * colour.b
    return sv.Color.BLACK if brightness > 140 else sv.Color.WHITE
