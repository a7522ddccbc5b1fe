"""Tiles cover an image, and what they cut in two is one again."""

from itertools import pairwise

import numpy as np
import pytest
import supervision as sv
from supervision.detection.compact_mask import CompactMask

from maxvit_mm.inference.tiles import Tile, joined, tiles_of

SHAPE = (60, 180)


@pytest.mark.parametrize(
    ("height", "width", "side", "overlap"), [(50, 70, 100, 0.2), (100, 250, 100, 0.2), (333, 101, 64, 0.0)]
)
def test_tiles_cover_the_image_are_whole_and_share_what_was_asked(height, width, side, overlap):
    tiles = tiles_of(height, width, side, overlap)
    covered = np.zeros((height, width), bool)
    for left, top, right, bottom in tiles:
        covered[top:bottom, left:right] = True
        assert (right - left, bottom - top) == (min(side, width), min(side, height))
    assert covered.all()
    for start, end in ((0, 2), (1, 3)):
        bounds = sorted({(tile[start], tile[end]) for tile in tiles})
        assert all(a[1] - b[0] >= int(overlap * side) for a, b in pairwise(bounds))


def seen_in(tile, objects, with_masks=True):
    """What a perfect detector finds in a tile: objects are (mask of the whole image, label, score)."""
    left, top, right, bottom = tile
    parts = [(mask[top:bottom, left:right], label, score) for mask, label, score in objects]
    parts = [part for part in parts if part[0].any()]
    masks = np.array([part[0] for part in parts]).reshape(-1, bottom - top, right - left)
    boxes = sv.mask_to_xyxy(masks).astype(np.float32)
    found = sv.Detections(
        xyxy=boxes + np.array([0, 0, 1, 1]),
        mask=CompactMask.from_dense(masks, boxes, masks.shape[1:]) if with_masks else None,
        confidence=np.array([part[2] for part in parts], np.float32),
        class_id=np.array([part[1] for part in parts], int),
    )
    found.data["class_name"] = np.array(["ab"[label] for label in found.class_id])
    return found


def block(x1, y1, x2, y2):
    mask = np.zeros(SHAPE, bool)
    mask[y1:y2, x1:x2] = True
    return mask


@pytest.mark.parametrize("with_masks", [True, False])
def test_an_object_that_seams_cut_into_parts_is_one_again(with_masks):
    long = block(5, 20, 175, 40) & ~block(60, 20, 110, 30)  # across three tiles, with a notch
    inside = block(70, 45, 80, 55)  # both of two tiles see all of it
    other = block(90, 5, 120, 15)
    tiles = tiles_of(*SHAPE, 80, 0.25)
    assert len(tiles) == 3
    objects = [(long, 0, 0.9), (inside, 0, 0.8), (other, 1, 0.7)]
    result = joined(tiles, [seen_in(tile, objects, with_masks) for tile in tiles], SHAPE)
    assert result.xyxy.tolist() == [[5, 20, 175, 40], [70, 45, 80, 55], [90, 5, 120, 15]]
    assert result.confidence == pytest.approx([0.9, 0.8, 0.7])
    assert result.data["class_name"].tolist() == ["a", "a", "b"]
    if with_masks:
        np.testing.assert_array_equal(np.asarray(result.mask), [long, inside, other])


def test_what_lies_at_a_corner_of_four_tiles_is_one():
    square = np.zeros((100, 100), bool)
    square[30:70, 30:70] = True
    tiles = tiles_of(100, 100, 55, 0.1)
    result = joined(tiles, [seen_in(tile, [(square, 0, 0.9)]) for tile in tiles], (100, 100))
    assert len(tiles) == 4
    np.testing.assert_array_equal(np.asarray(result.mask), [square])


@pytest.mark.parametrize("labels", [(0, 0), (0, 1)])
def test_neighbours_and_objects_of_two_classes_stay_two(labels):
    tiles = [Tile(0, 0, 100, 60), Tile(80, 0, 180, 60)]
    beside = block(40, 10, 95, 30), block(95, 10, 140, 30)  # they meet in the strip that both tiles see
    upon = block(40, 10, 140, 30), block(40, 10, 140, 30)
    pair = beside if labels == (0, 0) else upon
    objects = [(pair[0], labels[0], 0.9), (pair[1], labels[1], 0.8)]
    result = joined(tiles, [seen_in(tile, objects) for tile in tiles], SHAPE)
    np.testing.assert_array_equal(np.asarray(result.mask), pair)


def test_tiles_without_objects_have_none():
    tiles = tiles_of(*SHAPE, 80, 0.25)
    result = joined(tiles, [seen_in(tile, []) for tile in tiles], SHAPE)
    assert len(result) == 0
    assert "class_name" in result.data
