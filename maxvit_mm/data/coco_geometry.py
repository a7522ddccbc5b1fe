"""Images on disk, and boxes and masks within them: each check gives a sentence for each thing wrong."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import isfinite
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from ..network.trunk import SMALLEST_IMAGE
from .coco_entries import Boxed, Entry, sentence

SLACK = 1  # pixels beyond the border: a tool that counts from 1 or rounds is no reason to refuse
TURNED = ("JPEG", "MPO", "PNG", "WEBP")  # what OpenCV turns by EXIF and Pillow's `size` does not


def present_files(folder: Path, names: Iterable[str]) -> set[str]:
    """Those of `names` that are files below `folder`: a listing a directory, not a stat a file."""
    inside = defaultdict(list)
    for name in names:
        inside[name.rpartition("/")[0]].append(name)
    present = set()
    for parent, children in inside.items():
        if (folder / parent).is_dir():
            with os.scandir(folder / parent) as entries:
                files = {entry.name for entry in entries if entry.is_file()}
            present |= {name for name in children if name.rpartition("/")[2] in files}
    return present


def image_problems(where: str, folder: Path, images: list[Entry]) -> Iterator[str]:
    """Images that are not on disk, cannot be read, or are not of the stated size."""
    present = present_files(folder, (image["file_name"] for image in images))
    missing = (image["file_name"] for image in images if image["file_name"] not in present)
    yield from sentence(where, f"images missing from {folder}", missing)
    images = [image for image in images if image["file_name"] in present]
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # headers take no memory
    try:
        with ThreadPool() as pool:  # a header on a distant disk is mostly waiting
            sizes = pool.map(size_on_disk, [folder / image["file_name"] for image in images])
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    unread, resized = [], []
    for image, size in zip(images, sizes, strict=True):
        stated = image["width"], image["height"]
        if size is None:
            unread.append(image["file_name"])
        elif size != stated:
            real, said = ("x".join(map(str, each)) for each in (size, stated))
            resized.append(f"{image['file_name']} ({real}, stated {said})")
    yield from sentence(where, "files that are not readable as images", unread)
    yield from sentence(where, "images of another size than stated (EXIF applied)", resized)
    small = (
        f"{i['file_name']} ({i['width']}x{i['height']})" for i in images if smaller_side(i) < SMALLEST_IMAGE
    )
    what = f"images under {SMALLEST_IMAGE} pixels, which MaxViT cannot take and MMDetection does not train on"
    yield from sentence(where, what, small)


def smaller_side(image: Entry) -> int:
    return min(image["width"], image["height"])


def size_on_disk(file: Path) -> tuple[int, int] | None:
    """Width and height as MMDetection will load the image: mmcv has OpenCV obey EXIF's turns."""
    try:
        with Image.open(file) as image:
            exif = image.format in TURNED and "exif" in image.info  # else Pillow decodes a PNG
            turned = exif and image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            return image.size[::-1] if turned else image.size
    except (OSError, SyntaxError):
        return None


def box_problems(where: str, boxed: Boxed) -> Iterator[str]:
    """Boxes that leave their image."""
    rows = [(*a["bbox"], image["width"], image["height"]) for a, image in boxed]
    x, y, w, h, width, height = np.array(rows, dtype=float).reshape(-1, 6).T
    right, bottom = width + SLACK, height + SLACK
    outside = (x < -SLACK) | (y < -SLACK) | (x + w > right) | (y + h > bottom)
    named = (f"{located(*boxed[i])} {boxed[i][0]['bbox']}" for i in np.flatnonzero(outside))
    yield from sentence(where, "boxes [x, y, width, height] that reach outside their image", named)


def located(annotation: Entry, image: Entry) -> str:
    return f"{annotation['id']} in {image['file_name']} ({image['width']}x{image['height']})"


def mask_problems(where: str, boxed: Boxed, needed: bool) -> Iterator[str]:
    """Masks that are absent though `needed`, malformed, or outside their image."""
    faults = defaultdict(list)
    for annotation, image in boxed:
        mask = annotation.get("segmentation")
        if (needed or mask) and (fault := mask_fault(mask, image["width"], image["height"])):
            faults[fault].append((annotation, image))
    for fault, faulty in faults.items():
        named = (located(annotation, image) for annotation, image in faulty)
        yield from sentence(where, f"annotations that {fault}", named)


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
        return "have no segmentation, though the model trains masks"
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
