"""A large image in overlapping tiles, and what was found in them joined where tiles meet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from math import ceil
from typing import NamedTuple, cast

import numpy as np
import supervision as sv
from supervision.detection.compact_mask import CompactMask
from supervision.detection.tools.inference_slicer import move_detections

SAME = 0.5  # IoU within what two tiles both see, from which on two finds are one object


class Tile(NamedTuple):
    """A part of an image, in its pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


def tiles_of(height: int, width: int, side: int, overlap: float) -> list[Tile]:
    """Tiles of `side` pixels that cover an image; each shares `overlap` of its side or more with the next."""
    return [
        Tile(left, top, min(left + side, width), min(top + side, height))
        for top in starts(height, side, overlap)
        for left in starts(width, side, overlap)
    ]


def starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin along an axis: evenly, so that all are whole."""
    if length <= side:
        return [0]
    count = ceil((length - side) / (side * (1 - overlap))) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def joined(tiles: Sequence[Tile], found: Sequence[sv.Detections], shape: tuple[int, int]) -> sv.Detections:
    """What was found in tiles, in the pixels of the whole image, each object once.

    A seam cuts an object into parts, which no overlap of their boxes tells from two neighbours. But both
    tiles see the strip that they share: what looks the same in it is the same object. So two finds of a class
    are one where, within that strip, their masks (or boxes, where there are none) have an IoU of `SAME`.

    Args:
        found: for each tile, in the tile's own pixels.
        shape: height and width of the whole image.
    """
    moved = [shifted(each, tile, shape) for tile, each in zip(tiles, found, strict=True)]
    every = sv.Detections.merge([each for each in moved if len(each)])
    if not len(every):
        return moved[0]
    where = np.repeat(np.arange(len(tiles)), [len(each) for each in moved])
    head = np.arange(len(every))  # of each find, one that is the same object

    def first(i: int) -> int:
        while head[i] != i:
            i = head[i]
        return i

    for a, b in pairs_across(tiles, where, every):
        if overlap_in(common(tiles[where[a]], tiles[where[b]]), every, a, b) >= SAME:
            low, high = sorted((first(a), first(b)))
            head[high] = low
    groups: dict[int, list[int]] = {}
    for i in range(len(every)):
        groups.setdefault(first(i), []).append(i)
    scores = np.asarray(every.confidence)
    best = [max(group, key=lambda i: scores[i]) for group in groups.values()]
    result = every.select(np.array(best))
    boxes = [every.xyxy[group] for group in groups.values()]
    result.xyxy = np.array([[*box[:, :2].min(0), *box[:, 2:].max(0)] for box in boxes], np.float32)
    if every.mask is not None:
        masks = cast(CompactMask, every.mask)
        result.mask = CompactMask.merge([united(masks, group) for group in groups.values()])
    return result.select(np.argsort(-scores[best], kind="stable"))


def joined_maps(tiles: Sequence[Tile], maps: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The label maps [height, width] of tiles as that of the whole image, of `shape`.

    At a tile's edge the network sees least around a pixel, so tiles meet in the middle of what both see.
    """
    across = cuts_of({(tile.left, tile.right) for tile in tiles})
    down = cuts_of({(tile.top, tile.bottom) for tile in tiles})
    whole = np.empty(shape, maps[0].dtype)
    for (left, top, *_), part in zip(tiles, maps, strict=True):
        x1, x2 = across[left]
        y1, y2 = down[top]
        whole[y1:y2, x1:x2] = part[y1 - top : y2 - top, x1 - left : x2 - left]
    return whole


def cuts_of(sides: set[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """For each tile along an axis, by its start, where its own part begins and ends."""
    ordered = sorted(sides)
    cuts = [(start + end) // 2 for (_, end), (start, _) in pairwise(ordered)]
    ends = [ordered[0][0], *cuts, ordered[-1][1]]
    return {start: own for (start, _), own in zip(ordered, pairwise(ends), strict=True)}


def shifted(found: sv.Detections, tile: Tile, shape: tuple[int, int]) -> sv.Detections:
    """What was found in a tile, in the pixels of the whole image."""
    return move_detections(found, np.array([tile.left, tile.top]), resolution_wh=(shape[1], shape[0]))


def common(a: Tile, b: Tile) -> Tile:
    """What two tiles both see; without pixels where they do not touch."""
    return Tile(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))


def pairs_across(tiles: Sequence[Tile], where: np.ndarray, every: sv.Detections) -> list[tuple[int, int]]:
    """Pairs of finds of one class in two tiles, whose boxes meet in what both tiles see."""
    pairs = []
    labels = np.asarray(every.class_id)
    for i, j in combinations(range(len(tiles)), 2):
        left, top, right, bottom = common(tiles[i], tiles[j])
        if left >= right or top >= bottom:
            continue
        x1, y1, x2, y2 = every.xyxy.T
        inside = (x1 < right) & (x2 > left) & (y1 < bottom) & (y2 > top)
        mine, theirs = np.flatnonzero(inside & (where == i)), np.flatnonzero(inside & (where == j))
        meets = (
            (labels[mine][:, None] == labels[theirs])
            & (x1[mine][:, None] < x2[theirs])
            & (x2[mine][:, None] > x1[theirs])
            & (y1[mine][:, None] < y2[theirs])
            & (y2[mine][:, None] > y1[theirs])
        )
        pairs += [(mine[a], theirs[b]) for a, b in np.argwhere(meets)]
    return pairs


def overlap_in(strip: Tile, every: sv.Detections, a: int, b: int) -> float:
    """IoU of two finds within a strip."""
    if every.mask is not None:
        one, two = (part_of(cast(CompactMask, every.mask), i, strip) for i in (a, b))
        union = np.count_nonzero(one | two)
        return np.count_nonzero(one & two) / union if union else 0.0
    left, top, right, bottom = strip
    boxes = np.clip(every.xyxy[[a, b]], [left, top, left, top], [right, bottom, right, bottom])
    return float(sv.box_iou_batch(boxes[:1], boxes[1:])[0, 0])


def part_of(masks: CompactMask, i: int, strip: Tile) -> np.ndarray:
    """[height, width] of a strip: where mask i is."""
    left, top, right, bottom = strip
    part = np.zeros((bottom - top, right - left), bool)
    crop = masks.crop(i)
    x, y = masks.offsets[i]
    x1, y1 = max(left, x), max(top, y)
    x2, y2 = min(right, x + crop.shape[1]), min(bottom, y + crop.shape[0])
    if x1 < x2 and y1 < y2:
        part[y1 - top : y2 - top, x1 - left : x2 - left] = crop[y1 - y : y2 - y, x1 - x : x2 - x]
    return part


def united(masks: CompactMask, group: list[int]) -> CompactMask:
    """Several masks as one."""
    if len(group) == 1:
        return masks[np.array(group)]
    corners = masks.bbox_xyxy[group]  # its right and bottom are inside
    left, top = corners[:, :2].min(0)
    right, bottom = corners[:, 2:].max(0) + 1
    whole = Tile(int(left), int(top), int(right), int(bottom))
    mask = np.any([part_of(masks, i, whole) for i in group], axis=0)
    height, width = mask.shape
    alone = CompactMask.from_dense(mask[None], np.array([[0, 0, width - 1, height - 1]]), (height, width))
    return alone.with_offset(whole.left, whole.top, new_image_shape=masks.image_shape)
