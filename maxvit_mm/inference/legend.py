"""Classes and their parts of one, listed beside a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .known_classes import Colour
from .pictures import FONT, letters_of

FEWEST = 5  # lines that there is room for, however low the picture
LONGEST = 24  # letters of a name; longer ones are cut
GROUND, TRACK, EDGE, INK = (32,) * 3, (64,) * 3, (128,) * 3, (235,) * 3  # BGR
NUMBER = "100.0 %"


class Line(NamedTuple):
    """A class: its share of the picture, or its probability, from 0 to 1."""

    name: str
    part: float
    colour: Colour


def with_legend(picture: np.ndarray, lines: Sequence[Line], names: Sequence[str]) -> np.ndarray:
    """The picture, and at its right a line for each class: name, percent, and a bar as long as its part.

    Lines that have no room are counted in the last one.

    Args:
        picture: [height, width, 3] in BGR.
        names: all that may ever stand there, so that the pictures of a video are of one size.
    """
    letters = letters_of(picture)
    thickness = max(1, letters // 12)
    scale = cv2.getFontScaleFromHeight(FONT, letters, thickness)

    def width_of(text: str) -> int:
        return int(cv2.getTextSize(text, FONT, scale, thickness)[0][0])

    tall, edge = 3 * letters, letters
    swatch = 2 * letters
    inner = swatch + max(width_of(cut(name)) for name in names) + letters + width_of(NUMBER)
    height = max(len(picture), 2 * edge + FEWEST * tall)
    whole = np.full((height, picture.shape[1] + inner + 2 * edge, 3), GROUND, np.uint8)
    whole[: len(picture), : picture.shape[1]] = picture
    left, room = picture.shape[1] + edge, (height - 2 * edge) // tall

    def write(text: str, x: int, row: int) -> None:
        at = (x, edge + row * tall + letters)
        cv2.putText(whole, text, at, FONT, scale, INK, thickness, cv2.LINE_AA)

    shown = lines if len(lines) <= room else lines[: room - 1]
    for row, (name, part, colour) in enumerate(shown):
        top = edge + row * tall
        bgr = colour[::-1]
        for colour_of, filled in ((bgr, cv2.FILLED), (EDGE, thickness)):  # a dark colour shows by its edge
            cv2.rectangle(whole, (left, top), (left + letters, top + letters), colour_of, filled)
        percent = f"{100 * part:.1f} %"
        write(cut(name), left + swatch, row)
        write(percent, left + inner - width_of(percent), row)
        bar = top + letters + letters // 2
        for length, its in ((inner, TRACK), (round(part * inner), bgr)):
            if length:
                cv2.rectangle(whole, (left, bar), (left + length - 1, bar + letters // 3), its, -1)
    if len(shown) < len(lines):
        write(f"and {len(lines) - len(shown)} more", left + swatch, len(shown))
    return whole


def cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3].rstrip()}..."
