"""Words on pictures, of a size that can be read; and what draws with them in the place of OpenMMLab's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.config import Config

READABLE = 480  # pixels of the longer side, up to which small images are enlarged by whole numbers
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_with(cfg: Config, stand_ins: Mapping[str, str]) -> None:
    """Have a config's pictures drawn by others, in place.

    Args:
        stand_ins: for the name of a hook or a visualizer, the full path of what takes its place, as MMEngine
            finds it from anywhere.
    """
    hooks = cfg.get("default_hooks") or {}
    for part in (hooks.get("visualization"), cfg.get("visualizer")):
        scope, _, name = str((part or {}).get("type")).rpartition(".")
        if part and name in stand_ins and scope in ("", "mmdet", "mmseg", "mmpretrain"):
            part["type"] = stand_ins[name]


class PictureNames:
    """Names of pictures for image files: that of the file, with those of its folders where another has it.

    Args:
        folders: how many of its folders are named in any case.
    """

    def __init__(self, folders: int = 0) -> None:
        self.folders = folders
        self.given: dict[Path, str] = {}

    def __call__(self, image: str) -> str:
        """The name, without a suffix, which no other file has; the same for a file at every call."""
        path = Path(image)
        if path not in self.given:
            taken = set(self.given.values())
            parts = [*path.parts[:-1], path.stem]
            names = ["_".join(parts[-count:]) for count in range(1 + self.folders, len(parts) + 1)]
            names += [f"{path.stem}_{number}" for number in range(2, len(taken) + 3)]
            self.given[path] = next(name for name in names if name not in taken)
        return self.given[path]


def enlargement(image: np.ndarray) -> int:
    """By how much a small image [h, w, 3] is enlarged."""
    return max(1, READABLE // max(image.shape[:2]))


def letters(image: np.ndarray) -> float:
    """OpenCV's size of letters that can be read on a picture."""
    return max(0.4, max(image.shape[:2]) / 1600)


def write(image: np.ndarray, text: str, left: int, top: int) -> None:
    """White letters on black, just above a place, moved into the image. image: [h, w, 3]."""
    size = letters(image)
    (width, height), below = cv2.getTextSize(text, FONT, size, 1)
    left = max(0, min(left, image.shape[1] - width))
    bottom = max(height + below, min(top, image.shape[0]))
    cv2.rectangle(image, (left, bottom - height - below), (left + width, bottom), BLACK, -1)
    cv2.putText(image, text, (left, bottom - below // 2), FONT, size, WHITE, 1, cv2.LINE_AA)


def titled(image: np.ndarray, titles: list[str]) -> np.ndarray:
    """A picture with a title above each of its equal parts. image: [h, w, 3] -> [h + a line, w, 3]."""
    if not titles:
        return image
    part = image.shape[1] // len(titles)
    widths = [cv2.getTextSize(title, FONT, 1.0, 1)[0][0] for title in titles]
    size = min(max(0.5, part / 1200), (part - 4) / max(widths))
    line = round(34 * max(size, 0.4))
    image = cv2.copyMakeBorder(image, line, 0, 0, 0, cv2.BORDER_CONSTANT, value=WHITE)
    for place, title in enumerate(titles):
        cv2.putText(image, title, (place * part + 2, round(line * 0.72)), FONT, size, BLACK, 1, cv2.LINE_AA)
    return image


def hand_on(
    visualizer: Any, name: str, drawn: np.ndarray, show: bool, wait_time: float, file: str | None, step: int
) -> None:
    """Do with a picture, [h, w, 3] in RGB, what a visualizer's `add_datasample` is asked to."""
    visualizer.set_image(drawn)
    if show:
        visualizer.show(drawn, win_name=name, wait_time=wait_time)
    if file is not None:
        mmcv.imwrite(drawn[..., ::-1], file)
    else:
        visualizer.add_image(name, drawn, step)
