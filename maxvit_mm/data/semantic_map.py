"""A label for each pixel: of label images, and of the instances in COCO's format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as rle

from .coco_geometry import compressed

NOTHING = 255  # the label of pixels that are neither learnt nor evaluated
MOST_CLASSES = 255
BACKGROUND = "background"  # what no object covers, where a folder names objects alone

Labels = NDArray[np.uint8]  # [height, width]
Legend = Sequence[int] | Sequence[Sequence[int]]  # by label: the class's number, or its red, green and blue


class Instance(NamedTuple):
    """An object, as COCO's annotations have it. Its label is `NOTHING` where it is not to be learnt."""

    label: int
    segmentation: Any  # polygons, or run lengths
    area: float


def paint_instances(instances: Iterable[Instance], height: int, width: int, nothing_else: int) -> Labels:
    """One map of all instances. Where they overlap, the smaller one is in front.

    Args:
        nothing_else: the label of what no object covers.
    """
    painted = np.full((height, width), nothing_else, np.uint8)
    for instance in sorted(instances, key=lambda each: -each.area):
        painted[decoded(instance.segmentation, height, width)] = instance.label
    return painted


def decoded(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels of polygons or run lengths: [height, width]."""
    if isinstance(segmentation, dict):
        runs = compressed(segmentation)
    else:
        runs = rle.merge(rle.frPyObjects(segmentation, height, width))
    return rle.decode(runs).astype(bool)


def values_in(content: bytes, coloured: bool) -> NDArray[np.int64]:
    """What a label image says of each pixel, [height, width]: a number, or 65536 R + 256 G + B.

    Of an image with a palette, numbers are the palette's places and colours are its colours. Of one with
    several channels, the first has the numbers.

    Raises:
        OSError: where Pillow cannot read it, and Pillow's other errors.
    """
    with Image.open(BytesIO(content)) as image:
        if coloured:
            return packed(np.asarray(image.convert("RGB")))
        values = np.asarray(image.getchannel(0) if len(image.getbands()) > 1 else image)
    return values.astype(np.int64)


def packed(colours: Any) -> NDArray[np.int64]:
    """Colours as one number each. `colours`: [..., 3], red first."""
    red, green, blue = np.moveaxis(np.asarray(colours, np.int64), -1, 0)
    return (red << 16) + (green << 8) + blue


def unpacked(colour: int) -> tuple[int, int, int]:
    return colour >> 16, colour >> 8 & 255, colour & 255


def labels_of(content: bytes, legend: Legend) -> Labels:
    """The label of each pixel of a label image: `NOTHING` where the legend has no such value."""
    keys = np.asarray(legend, np.int64)
    coloured = keys.ndim == 2
    values = values_in(content, coloured)
    keys = packed(keys) if coloured else keys
    order = np.argsort(keys)
    place = np.searchsorted(keys[order], values).clip(max=len(keys) - 1)
    labels = order[place].astype(np.uint8)
    labels[keys[order][place] != values] = NOTHING
    return labels
