"""Annotation files changed value by value: a data set that trains and evaluates, or one message.

Hypothesis makes the changes, always the same ones. What it found stands as an example.
"""

import copy
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as rle
from test_coco_folder import SQUARE, coco, folder

from maxvit_mm.data.coco_folder import DataError, inspect
from maxvit_mm.openmmlab.coco_by_name import CocoByNameDataset, CocoByNameMetric

COUNTS = rle.frPyObjects(SQUARE, 32, 48)[0]["counts"].decode()


def content(prefix):
    """Two images with polygons, and a crowd as RLE."""
    made = coco(prefix)
    crowd = dict(id=4, image_id=1, category_id=3, bbox=[2, 2, 10, 10], area=100, iscrowd=1)
    crowd["segmentation"] = {"counts": COUNTS, "size": [32, 48]}
    made["annotations"].append(crowd)
    return made


def paths_in(node, path=()):
    """The path of every value, from the whole down to a coordinate."""
    yield path
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield from paths_in(value, (*path, key))


PATHS = [path for path in paths_in(content("t")) if path]
OTHERS = [None, True, False, 0, 1, -1, 3, 7, 0.5, -0.5, 49, 1e9, 1e308, float("nan"), float("inf"), 2**70]
OTHERS += ["", "0", "1", "7", "cat", "t1.jpg", "x" * 300]
OTHERS += [[], [1], [[]], [None], {}, {"id": 1}, [0, 0, 0, 0], [[1, 2]]]
changes = st.one_of(
    st.tuples(st.just("replace"), st.sampled_from(PATHS), st.sampled_from(OTHERS)),
    st.tuples(st.just("remove"), st.sampled_from(PATHS), st.none()),
    st.tuples(st.just("repeat"), st.sampled_from(PATHS), st.none()),
)


def changed(made, kind, path, value):
    *way, key = path
    try:
        for step in way:
            made = made[step]
        if kind == "replace":
            made[key] = copy.deepcopy(value)
        elif kind == "remove":
            del made[key]
        elif isinstance(made, list):
            made.insert(key, copy.deepcopy(made[key]))
    except (KeyError, IndexError, TypeError):
        pass  # what was to be changed is not there any more


def trains_and_evaluates(found):
    """MMDetection reads every image with its boxes and masks, and COCOeval the truth as a prediction."""
    for split in found.splits.values():
        load = [
            dict(type="LoadImageFromFile"),
            dict(type="mmdet.LoadAnnotations", with_bbox=True, with_mask=True),
        ]
        dataset = CocoByNameDataset(
            ann_file=str(split.annotation_file),
            data_prefix=dict(img=str(split.image_folder)),
            metainfo=dict(classes=found.classes),
            pipeline=load,
            test_mode=True,
        )
        assert len(dataset) == split.images
        metric = CocoByNameMetric(ann_file=str(split.annotation_file), metric=["bbox", "segm"])
        metric.dataset_meta = dataset.metainfo
        for item in (dataset[i] for i in range(len(dataset))):
            boxes = item["gt_bboxes"].tensor.numpy()
            assert np.isfinite(boxes).all()
            masks = item["gt_masks"].to_ndarray()
            truth = dict(img_id=item["img_id"], ori_shape=item["ori_shape"])
            encoded = [rle.encode(np.asfortranarray(mask)) for mask in masks]
            scores = np.ones(len(boxes))
            labels = np.asarray(item["gt_bboxes_labels"], dtype=int)
            predicted = dict(img_id=item["img_id"], bboxes=boxes, scores=scores, labels=labels, masks=encoded)
            metric.results.append((truth, predicted))
        metrics = metric.compute_metrics(metric.results)
        assert metrics["bbox_mAP"] > 0.5 or split.instances == 0


def is_refused_or_trains(root, edits):
    made = content("t")
    for kind, path, value in edits:
        changed(made, kind, path, value)
    root.mkdir(exist_ok=True)
    folder(root, content("t"), content("v"))
    (root / "annotations/instances_train2017.json").write_text(json.dumps(made))
    try:
        found = inspect(root, masks=True)
    except DataError:
        return
    train = found.splits["train"]
    assert train.instances + train.left_out == len(made["annotations"]) or found.notes  # nothing in silence
    trains_and_evaluates(found)


def test_the_file_is_sound_before_it_is_changed(tmp_path):
    is_refused_or_trains(tmp_path / "data", [])
    assert inspect(tmp_path / "data", masks=True).splits["train"].instances == 3


@settings(max_examples=120)
@given(edits=st.lists(changes, min_size=1, max_size=2))
def test_a_file_with_changed_values_trains_and_evaluates_or_is_refused(edits, tmp_path_factory):
    is_refused_or_trains(tmp_path_factory.mktemp("mutated") / "data", edits)
