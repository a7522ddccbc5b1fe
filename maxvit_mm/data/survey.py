"""How many images a training learns from, how large they are, and how large the objects in them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .coco_entries import read_annotations, with_images
from .left_out import Filter, sort_out
from .panoptic_segments import things_of


class Survey(NamedTuple):
    """Of one split, after what training leaves out.

    Sizes are medians, in pixels; an object's side is the root of its box's area, None where no object is told
    from another.
    """

    images: int
    width: int
    height: int
    object_side: float | None = None


def survey(file: Path, only: Filter | None = None, classes: Collection[str] | None = None) -> Survey:
    """Count and measure what an annotation file holds.

    Args:
        only: what training will leave out.
        classes: those that are learnt; all of them if None.

    Raises:
        ValueError: where the file is no JSON.
    """
    coco = things_of(read_annotations(file))
    learnt = {c["id"] for c in coco["categories"] if classes is None or c["name"] in classes}
    kept, _ = sort_out(with_images(coco), to_train=True)
    boxed = [(annotation, image) for annotation, image in kept if annotation["category_id"] in learnt]
    filled = {image["id"]: image for _, image in boxed}
    images = list(filled.values()) if only is None or only.empty else coco["images"]
    sides = [max(0.0, a["bbox"][2] * a["bbox"][3]) ** 0.5 for a, _ in boxed]
    return Survey(
        len(images),
        round(median([image["width"] for image in images] or [0])),
        round(median([image["height"] for image in images] or [0])),
        median(sides or [0.0]),
    )
