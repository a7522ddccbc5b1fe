"""What was found, in COCO's result format, with the images and classes that it is about."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any

import numpy as np
import supervision as sv
from pycocotools import mask as coco_mask
from supervision.detection.compact_mask import CompactMask

from ..data.coco_entries import read_annotations
from .known_classes import Classes
from .sources import Frame


class CocoResults:
    """A file that grows as images are looked at, so that memory does not: `with CocoResults(...) as results`.

    It holds `images`, `annotations` and `categories` as COCO's annotation files do. An annotation has a score
    besides: the list of them is what `COCO.loadRes` takes. A frame of a video is an image with `frame_id`.

    Args:
        path: the file.
        numbering: an annotation file, whose ids of images and classes are taken, so that the results can be
            evaluated against it.

    Raises:
        ValueError: where `numbering` is no such file, or lacks one of the classes.
    """

    def __init__(self, path: Path, classes: Classes, numbering: Path | None = None):
        self.path = path
        self.names = classes.names
        self.ids = classes.ids
        self.known: dict[str, int] = {}
        if numbering is not None:
            try:
                about = read_annotations(numbering)
                ids = {category["name"]: category["id"] for category in about["categories"]}
                self.known = {image["file_name"]: image["id"] for image in about["images"]}
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{numbering} is no annotation file in COCO's format") from error
            missing = [name for name in classes.names if name not in ids]
            if missing:
                raise ValueError(f"{numbering} has no class {', '.join(missing)}, which the checkpoint finds")
            self.ids = [ids[name] for name in classes.names]
        self.images = self.found = 0
        self.unknown: dict[str, None] = {}  # names, in their order

    def __enter__(self) -> CocoResults:
        self.file = self.path.open("w", encoding="utf-8")
        self.entries = TemporaryFile("w+", encoding="utf-8")
        categories = [{"id": i, "name": name} for i, name in zip(self.ids, self.names, strict=True)]
        self.file.write(f'{{"categories": {json.dumps(categories)},\n"annotations": [')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.file, self.entries:
            self.file.write('],\n"images": [')
            self.entries.seek(0)
            for part in iter(lambda: self.entries.read(1 << 20), ""):
                self.file.write(part)
            self.file.write("]}\n")

    def add(self, frame: Frame, found: sv.Detections) -> None:
        """An image and what was found in it."""
        height, width = frame.image.shape[:2]
        name = str(frame.source.place)
        self.images += 1
        number = self.images
        if self.known:
            known = self.known.get(name, self.known.get(frame.source.place.name))
            if known is None:
                self.unknown[name] = None
                return
            number = known
        write(self.entries, {"id": number, **about_image(frame)}, self.images == 1)
        for i in range(len(found)):
            self.found += 1
            about = self.annotation(found, i, height, width)
            write(self.file, {"id": self.found, "image_id": number, **about}, self.found == 1)

    def annotation(self, found: sv.Detections, i: int, height: int, width: int) -> dict[str, Any]:
        x1, y1, x2, y2 = (float(value) for value in found.xyxy[i])
        about: dict[str, Any] = {
            "category_id": self.ids[int(np.asarray(found.class_id)[i])],
            "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
            "score": round(float(np.asarray(found.confidence)[i]), 5),
            "area": round((x2 - x1) * (y2 - y1), 2),
            "iscrowd": 0,
        }
        if isinstance(found.mask, CompactMask):
            about["segmentation"] = run_lengths(found.mask, i, height, width)
            about["area"] = int(found.mask.area[i])
        if found.tracker_id is not None and found.tracker_id[i] >= 0:
            about["track_id"] = int(found.tracker_id[i])
        return about


def about_image(frame: Frame) -> dict[str, Any]:
    height, width = frame.image.shape[:2]
    about: dict[str, Any] = {"file_name": str(frame.source.place), "width": width, "height": height}
    return about if frame.number is None else {**about, "frame_id": frame.number}


def write(file: Any, entry: dict[str, Any], is_first: bool) -> None:
    file.write(("\n" if is_first else ",\n") + json.dumps(entry, ensure_ascii=False))


def run_lengths(masks: CompactMask, i: int, height: int, width: int) -> dict[str, Any]:
    """Mask i of an image [height, width] as COCO compresses it; only columns with a mask are made."""
    crop = masks.crop(i)
    x, y = (int(value) for value in masks.offsets[i])
    columns = np.zeros((crop.shape[1], height), np.uint8)  # COCO counts down the columns
    columns[:, y : y + crop.shape[0]] = crop.T
    line = columns.reshape(-1)
    changes = np.flatnonzero(line[1:] != line[:-1]) + 1
    ends = np.concatenate(([0], changes + x * height, [height * width]))
    if line[0]:
        ends = np.concatenate(([0, x * height], ends[1:]))
    counts = np.diff(ends).tolist()
    packed = coco_mask.frPyObjects({"counts": counts, "size": [height, width]}, height, width)
    return {"size": [height, width], "counts": packed["counts"].decode()}
