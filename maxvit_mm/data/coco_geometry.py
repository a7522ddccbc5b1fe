"""Boxes, masks and areas, held against their image and against each other: a sentence for each thing wrong.

All are in pixels.
"""

from collections import defaultdict
from collections.abc import Iterator
from math import isfinite
from operator import mul
from typing import Any

import numpy as np
from pycocotools import mask as rle

from .coco_entries import Boxed, Entry, sentence

SLACK = 1  # pixels beyond the border: a tool that counts from 1 or rounds is no reason to refuse
SHARES = "boxes are shares of the image (0 to 1), and COCO has pixels: multiply x and width by the image's"
PERCENT = "boxes look like per cent of the image (all within 100), and COCO has pixels"
CORNERS = "; they look like [x1, y1, x2, y2]: write x2 - x1 for the width and y2 - y1 for the height"


def box_problems(where: str, boxed: Boxed) -> Iterator[str]:
    """Boxes in another unit, or that leave their image."""
    x, y, w, h, width, height = as_columns(boxed)
    if len(x) and max((x + w).max(), (y + h).max()) <= 1.001:
        yield f"{where}: {SHARES} width, y and height by its height ({len(x):,})"
        return
    if are_corners(boxed):
        told = "masks" if has_masks(boxed) else "areas"
        yield (
            f"{where}: boxes are [x1, y1, x2, y2], as their {told} tell: write x2 - x1 for the width and "
            f"y2 - y1 for the height ({len(x):,})"
        )
        return
    right, bottom = width + SLACK, height + SLACK
    outside = (x < -SLACK) | (y < -SLACK) | (x + w > right) | (y + h > bottom)
    corners = ((w > x) & (h > y) & (w <= right) & (h <= bottom)).all()
    named = (f"{located(*boxed[i])} {boxed[i][0]['bbox']}" for i in np.flatnonzero(outside))
    what = "boxes [x, y, width, height] that reach outside their image"
    yield from (s + CORNERS * bool(corners) for s in sentence(where, what, named))


def has_masks(boxed: Boxed) -> bool:
    return any(annotation.get("segmentation") for annotation, _ in boxed)


def are_corners(boxed: Boxed) -> bool:
    """Whether nearly all boxes are written as two corners: then masks end there, or areas are theirs."""
    as_corners = as_sides = 0
    for annotation, image in boxed:
        x, y, w, h = annotation["bbox"]
        mask = annotation.get("segmentation")
        if mask and not mask_fault(mask, image["width"], image["height"]):
            _, _, right, bottom = extent(mask)
            as_corners += abs(right - w) <= SLACK and abs(bottom - h) <= SLACK
            as_sides += abs(right - x - w) <= SLACK and abs(bottom - y - h) <= SLACK
        elif annotation["area"] > 0:
            as_corners += close(annotation["area"], (w - x) * (h - y)) and w > x and h > y
            as_sides += close(annotation["area"], w * h)
    return as_corners > 0.9 * len(boxed) and as_sides < 0.5 * len(boxed)


def close(a: float, b: float) -> bool:
    return abs(a - b) <= 0.01 * abs(b)


def box_remarks(where: str, boxed: Boxed) -> Iterator[str]:
    """Boxes that are probably in another unit, though no single one is impossible."""
    x, y, w, h, width, height = as_columns(boxed)
    ends = np.concatenate([x + w, y + h])
    if len(x) >= 8 and np.minimum(width, height).min() > 200 and 90 < ends.max() <= 100:
        yield f"{where}: {PERCENT} ({len(x):,})"
    if len(x) >= 20 and max(((x + w) / width).max(), ((y + h) / height).max()) < 0.6:
        what = "boxes all lie in the upper left part of their images, as if they were made on smaller ones"
        yield f"{where}: {what} ({len(x):,})"


def as_columns(boxed: Boxed) -> np.ndarray:
    """[6, n]: x, y, width and height of each box, width and height of its image."""
    rows = [(*annotation["bbox"], image["width"], image["height"]) for annotation, image in boxed]
    return np.array(rows, dtype=float).reshape(-1, 6).T


def located(annotation: Entry, image: Entry) -> str:
    return f"{annotation['id']} in {image['file_name']} ({image['width']}x{image['height']})"


def mask_problems(where: str, boxed: Boxed, needed: bool) -> Iterator[str]:
    """Masks that are absent though `needed`, malformed, outside their image or outside their box."""
    faults, sound = defaultdict(list), []
    for annotation, image in boxed:
        mask = annotation.get("segmentation")
        if not (needed or mask):
            continue
        if fault := mask_fault(mask, image["width"], image["height"]):
            faults[fault].append((annotation, image))
        else:
            sound.append((annotation, image))
    for fault, faulty in faults.items():
        named = (located(annotation, image) for annotation, image in faulty)
        yield from sentence(where, f"annotations that {fault}", named)
    strays = (pair for pair in sound if overlap(pair[0]) < 0.5)
    named = (f"{located(*pair)} {pair[0]['bbox']}" for pair in strays)
    what = "masks of which less than half lies in their own box [x, y, width, height]"
    yield from sentence(where, what, named)


def overlap(annotation: Entry) -> float:
    """The share of a mask's extent that lies in the annotation's box, both a pixel wider on each side."""
    left, top, right, bottom = extent(annotation["segmentation"])
    x, y, w, h = annotation["bbox"]
    across = min(right, x + w) - max(left, x) + 2
    down = min(bottom, y + h) - max(top, y) + 2
    return max(across, 0) * max(down, 0) / ((right - left + 2) * (bottom - top + 2))


def extent(mask: Any) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a sound mask, in pixels."""
    if isinstance(mask, dict):
        x, y, w, h = map(float, rle.toBbox(compressed(mask)))
        return x, y, x + w, y + h
    x_values, y_values = ([value for polygon in mask for value in polygon[axis::2]] for axis in (0, 1))
    return min(x_values), min(y_values), max(x_values), max(y_values)


def compressed(mask: dict[str, Any]) -> dict[str, Any]:
    return mask if isinstance(mask["counts"], str) else rle.frPyObjects(mask, *mask["size"])


def area_remarks(where: str, boxed: Boxed) -> Iterator[str]:
    """Areas that are neither a mask's nor a box's: COCO sorts objects into small and large ones by them."""
    strange = []
    for annotation, image in boxed:
        mask, area, (_, _, w, h) = annotation.get("segmentation"), annotation["area"], annotation["bbox"]
        most = 1.1 * (w + 2) * (h + 2)
        sound = mask and not mask_fault(mask, image["width"], image["height"])
        least = 0.5 * min(mask_area(mask), w * h) - 10 if sound else 0
        if area > 0 and not least <= area <= most:  # what is 0 or less has a sentence of its own
            strange.append(f"{located(annotation, image)} {area:g} with a box of {w:g}x{h:g}")
    what = "'area' that fits neither mask nor box, by which AP for small, medium and large objects counts"
    yield from sentence(where, what, strange)


def mask_area(mask: Any) -> float:
    """Pixels inside a sound mask: of polygons, half the sum of cross products of neighbouring corners."""
    if isinstance(mask, dict):
        return float(rle.area(compressed(mask)))
    total = 0.0
    for polygon in mask:
        x, y = polygon[::2], polygon[1::2]
        total += abs(sum(map(mul, x, y[1:] + y[:1])) - sum(map(mul, y, x[1:] + x[:1]))) / 2
    return total


def decode_runs(text: str) -> list[int] | None:
    """COCO's compressed run lengths: base 32, least digit first, each a difference to the one two before.

    The format of `rleFrString` in pycocotools, which checks nothing. None where the text is cut short or
    holds a character that is no digit.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for digit in text.encode():
        digit -= 48
        if not 0 <= digit < 64:
            return None
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:  # more digits follow
            continue
        if digit & 16:  # a negative number
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return None if shift else runs


def mask_fault(mask: Any, width: int, height: int) -> str | None:
    """What is wrong with polygons [[x, y, x, y, ...], ...] or run lengths, if anything is."""
    malformed = "have a segmentation that is neither polygons nor run lengths"
    if not mask:
        return (
            "have no segmentation, though the model trains masks; take a config without masks, such as "
            "faster_rcnn_maxvit_t_coco, or add them"
        )
    if isinstance(mask, dict):
        counts = mask.get("counts")
        if mask.get("size") != [height, width]:
            return "have run lengths whose 'size' is not [height, width] of their image"
        counts = decode_runs(counts) if isinstance(counts, str) else counts
        if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
            return malformed
        fits = sum(counts) == width * height
        return None if fits else "have run lengths that do not add up to their image's pixels"
    try:
        for polygon in mask:
            if len(polygon) < 6:
                return "have a polygon of fewer than 3 points"
            if len(polygon) % 2 or not isfinite(sum(polygon)):
                return malformed
            x, y = polygon[::2], polygon[1::2]
            if min(polygon) < -SLACK or max(x) > width + SLACK or max(y) > height + SLACK:
                return "have a mask that reaches outside their image"
    except TypeError:
        return malformed
    return None
