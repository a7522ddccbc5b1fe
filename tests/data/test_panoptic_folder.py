"""A folder of panoptic maps is checked before anything is built."""

import json
import shutil

import cv2
import numpy as np
import pytest

from maxvit_mm.data.folder import DataError
from maxvit_mm.data.panoptic_folder import inspect_panoptic
from maxvit_mm.data.survey import survey


@pytest.fixture
def folder(shapes, tmp_path):
    shutil.copytree(shapes, tmp_path / "mine")
    return tmp_path / "mine"


FILE = "annotations/panoptic_train2017.json"
MAP = "annotations/panoptic_train2017/000000000001.png"


def change(root, what):
    """Have `what` change the content of the training's annotation file."""
    content = json.loads((root / FILE).read_text())
    what(content)
    (root / FILE).write_text(json.dumps(content))


def refused(root):
    with pytest.raises(DataError) as caught:
        inspect_panoptic(root)
    return str(caught.value).split("\n  - ")[1:]


def test_a_sound_folder_has_things_before_stuff_and_counts_segments(folder):
    change(folder, lambda coco: coco["categories"].reverse())
    found = inspect_panoptic(folder)
    assert (found.things, found.stuff) == (("star", "triangle", "square", "disk"), ("background",))
    truth = json.loads((folder / FILE).read_text())["annotations"]
    train = found.splits["train"]
    assert (train.images, train.per_class[-1]) == (6, 6)
    assert sum(train.per_class) == sum(len(each["segments_info"]) for each in truth)
    assert train.most == max(len(each["segments_info"]) for each in truth) - 1
    said = found.describe()
    assert "number of classes: 4 things, 1 stuff" in said
    assert (
        "annotations/panoptic_train2017.json, images in train2017/, maps in annotations/panoptic_train2017/"
        in said
    )


def first(coco):
    return coco["annotations"][0]["segments_info"][0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda c: c["categories"][0].pop("isthing"), "categories whose 'isthing' is not 1 or 0"),
        (lambda c: [each.update(isthing=1) for each in c["categories"]], "no category is stuff"),
        (lambda c: first(c).update(id=0), "segments whose 'id' is not a whole number from 1"),
        (lambda c: first(c).update(id=77), "maps that do not fit (1): 000000000001.png: has the id"),
        (lambda c: first(c).pop("iscrowd"), "segments whose 'iscrowd' is not 0 or 1"),
        (lambda c: first(c).update(category_id=99), "'category_id' is not among the categories (1)"),
        (lambda c: c["annotations"].pop(0), "images that have not one annotation, but none or several (1)"),
        (lambda c: c["annotations"][0].update(file_name="a.png"), "not called as their images"),
        (lambda c: c["images"][0].update(width=9999), "of another size than stated"),
        (lambda c: c.pop("categories"), "it has no list categories"),
        (
            lambda c: c["annotations"][0]["segments_info"].append({**first(c), "id": 77}),
            "000000000001.png: has no pixel of the id 77",
        ),
        (
            lambda c: c["annotations"][0]["segments_info"].append(first(c)),
            "share their 'id' with another",
        ),
    ],
)
def test_entries_that_cannot_work_are_said(folder, wrong, said):
    change(folder, wrong)
    problems = refused(folder)
    assert any(said in each for each in problems), problems
    assert all(
        each.startswith(("train (annotations/panoptic_train2017.json)", "classes")) for each in problems
    )


def test_a_missing_map_is_named(folder):
    (folder / MAP).unlink()
    (problem,) = refused(folder)
    assert f"maps missing from {folder / MAP.rpartition('/')[0]} (1): 000000000001.png" in problem


def test_a_map_of_another_size_and_one_that_cannot_be_read_are_named(folder):
    height, width = cv2.imread(str(folder / MAP)).shape[:2]
    cv2.imwrite(str(folder / MAP), np.zeros((5, 7, 3), np.uint8))
    (folder / MAP.replace("01.png", "02.png")).write_bytes(b"no image")
    (problem,) = refused(folder)
    assert f"000000000001.png: 7x5, and its image {width}x{height}" in problem
    assert "000000000002.png: no image that can be read" in problem


def test_where_only_instances_are_it_says_what_they_train(folder):
    (folder / FILE).unlink()
    (problem,) = refused(folder)
    assert problem.startswith(
        "train: no panoptic annotation file. Looked for annotations/panoptic_train2017.json"
    )
    assert problem.endswith("annotations/instances_train2017.json has instances, for a Mask R-CNN")


def test_a_class_that_is_a_thing_in_one_split_alone_is_said(folder):
    change(folder, lambda coco: coco["categories"][0].update(isthing=0))
    assert any("disk (stuff)" in each for each in refused(folder))


def test_single_classes_of_a_panoptic_folder_cannot_be_learnt(folder):
    with pytest.raises(DataError, match="leave --classes out"):
        inspect_panoptic(folder).only(["disk"])


def test_things_are_surveyed_as_the_instances_are(folder):
    assert survey(folder / FILE) == survey(folder / "annotations/instances_train2017.json")
