"""Masks and areas, held against their image and their box: a sentence for each thing wrong.

All are in pixels.
"""

from collections import defaultdict
from collections.abc import Iterator
from math import isfinite
from operator import mul
from typing import Any

from pycocotools import mask as rle

from .coco_entries import Boxed, Entry, sentence

SLACK = 1  # pixels beyond the border: a tool that counts from 1 or rounds is no reason to refuse


def located(annotation: Entry, image: Entry) -> str:
    return f"{annotation['id']} in {image['file_name']} ({image['width']}x{image['height']})"


def mask_problems(where: str, boxed: Boxed, needed: bool, known_boxes: bool = True) -> Iterator[str]:
    """Masks that are absent though `needed`, malformed, outside their image or outside their box.

    Args:
        known_boxes: whether boxes are what COCO means by them, so that masks can be held against them.
    """
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
    strays = [pair for pair in sound if known_boxes and overlap(pair[0]) < 0.5]
    named = (f"{located(*pair)} {pair[0]['bbox']}" for pair in strays)
    what = "masks of which less than half lies in their own box [x, y, width, height]"
    if all(isinstance(annotation["segmentation"], dict) for annotation, _ in strays):
        what += "; run lengths begin with the background and go down one column after another"
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
    malformed = (
        "have a segmentation that is neither polygons nor run lengths (polygons: [[x1, y1, x2, y2, ...]])"
    )
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
            if type(polygon) is not list or not {int, float}.issuperset(map(type, polygon)):
                return malformed
            if len(polygon) < 6:
                return "have a polygon of fewer than 3 points, [x1, y1, x2, y2, x3, y3]: leave it out"
            if len(polygon) % 2 or not isfinite(sum(polygon)):
                return malformed
            x, y = polygon[::2], polygon[1::2]
            if min(polygon) < -SLACK or max(x) > width + SLACK or max(y) > height + SLACK:
                return "have a mask that reaches outside their image"
    except (TypeError, OverflowError):
        return malformed
    return None
