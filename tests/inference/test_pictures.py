"""Pictures can be read at any size, with few objects or many, and colours tell what belongs together."""

import numpy as np
import pytest
import supervision as sv
from supervision.detection.compact_mask import CompactMask

from maxvit_mm.inference.known_classes import Classes
from maxvit_mm.inference.pictures import Drawing

RED, BLUE = (220, 40, 40), (40, 80, 220)
CLASSES = Classes(("apple", "leaf"), [RED, BLUE])
GREY = 128


def found_at(boxes, shape, labels=None, tracks=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    masks = np.zeros((len(boxes), *shape), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = True
    labels = np.array(labels if labels is not None else [0] * len(boxes), int)
    return sv.Detections(
        xyxy=boxes,
        mask=CompactMask.from_dense(masks, boxes, shape),
        confidence=np.full(len(boxes), 0.9, np.float32),
        class_id=labels,
        tracker_id=None if tracks is None else np.array(tracks),
        data={"class_name": np.array(CLASSES.names)[labels]},
    )


def drawn(shape, found, classes=CLASSES):
    image = np.full((*shape, 3), GREY, np.uint8)
    picture = Drawing(classes)(image, found)
    assert (image == GREY).all()  # the image itself is left as it is
    return picture


def height_of(colour, picture):
    """How many rows hold pixels of exactly this colour (RGB), which only boxes and labels have."""
    return int((picture == colour[::-1]).all(-1).any(1).sum())


@pytest.mark.parametrize("side", [100, 400, 1000, 4000])
def test_lines_and_names_fit_the_size_of_the_picture(side):
    shape = (side, side)
    box = [side * 0.4, side * 0.5, side * 0.8, side * 0.9]
    picture = drawn(shape, found_at([box], shape))
    times = len(picture) // side
    assert len(picture) >= 480
    assert times == max(1, -(-480 // side))
    label = picture[: int(box[1] * times) - 2 - len(picture) // 500]  # above the box there is but its name
    height = height_of(RED, label)
    assert max(10, 0.015 * len(picture)) < height < max(30, 0.05 * len(picture))
    row = picture[int((box[1] + box[3]) / 2 * times)]
    line = (row == RED[::-1]).all(-1).sum() / 2
    assert 1 <= line <= 0.005 * len(picture) + 1
    inside = picture[int(side * 0.7 * times), int(side * 0.6 * times)]
    assert inside[2] > GREY > inside[0]  # the mask lets the image through


def test_lines_of_small_objects_do_not_hide_them():
    shape = (2000, 2000)
    picture = drawn(shape, found_at([[100, 100, 116, 116]], shape))
    assert (picture[102:114, 102:114] != RED[::-1]).any(-1).all()


def test_where_names_would_hide_the_objects_a_legend_counts_them():
    shape = (500, 500)
    few, many = (
        [[x, y, x + 20, y + 20] for x in range(100, 480, step) for y in range(100, 480, step)]
        for step in (150, 24)
    )
    for boxes, has_legend in ((few, False), (many, True)):
        labels = [i % 2 for i in range(len(boxes))]
        corner = drawn(shape, found_at(boxes, shape, labels))[:60, :60]
        for colour in (RED, BLUE):
            assert (height_of(colour, corner) > 10) == has_legend


def test_objects_of_one_class_and_tracks_have_their_own_colours_and_classes_one():
    shape = (600, 600)
    boxes = [[50, 50, 150, 150], [300, 300, 400, 400]]

    def colours(found, classes):
        picture = drawn(shape, found, classes)
        return {tuple(picture[y, x]) for x, y in ((100, 140), (350, 390))}

    alone = Classes(("apple",), [RED])
    assert len(colours(found_at(boxes, shape), CLASSES)) == 1
    assert len(colours(found_at(boxes, shape, [0, 1]), CLASSES)) == 2
    assert len(colours(found_at(boxes, shape), alone)) == 2
    assert len(colours(found_at(boxes, shape, tracks=[3, 4]), CLASSES)) == 2
    moved = found_at([[60, 60, 160, 160], [310, 310, 410, 410]], shape, tracks=[3, 4])
    assert colours(found_at(boxes, shape, tracks=[3, 4]), CLASSES) == colours(moved, CLASSES)


def test_a_picture_without_objects_is_the_image():
    assert (drawn((500, 600), found_at([], (500, 600))) == GREY).all()
