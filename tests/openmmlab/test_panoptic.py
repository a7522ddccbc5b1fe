"""Panoptic FPN trains and is evaluated, on the embedded data and on a folder in COCO's panoptic format."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config
from mmengine.structures import PixelData
from runs import HALF, TWO_STEPS, forget_runs

from maxvit_mm.commands.test import main as evaluate
from maxvit_mm.commands.train import main as train
from maxvit_mm.data.folder import DataError
from maxvit_mm.data.panoptic_folder import inspect_panoptic
from maxvit_mm.data.scenes import CLASSES
from maxvit_mm.inference.detector import Detector
from maxvit_mm.inference.opening import open_checkpoint
from maxvit_mm.openmmlab.panoptic_retarget import point_at_panoptic

PANOPTIC = "panoptic_fpn_maxvit_pico_shapes"
QUALITIES = {f"coco_panoptic/{of}{which}" for of in ("PQ", "SQ", "RQ") for which in ("", "_th", "_st")}


@pytest.fixture(scope="module")
def other(shapes, tmp_path_factory):
    """The embedded data as others would write them: stuff first, with other ids and names of files."""
    root = tmp_path_factory.mktemp("data") / "other"
    for split in ("train", "val"):
        there = shapes / "annotations" / f"panoptic_{split}2017"
        shutil.copytree(shapes / f"{split}2017", root / "images" / split)
        shutil.copytree(there, root / f"panoptic_{split}")
        content = json.loads(there.with_suffix(".json").read_text())
        content["categories"].reverse()
        for category in content["categories"]:
            category["id"] += 100
        for annotation in content["annotations"]:
            for segment in annotation["segments_info"]:
                segment["category_id"] += 100
        (root / f"panoptic_{split}.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="module", params=["where the config looks", "--data"])
def run(request, shapes, other, tmp_path_factory):
    """A work directory after two steps, with the data where they are."""
    place = tmp_path_factory.mktemp("panoptic")
    (place / "data").mkdir()
    (place / "data/shapes").symlink_to(shapes)
    data = ["--data", str(other), "--as-configured"] if request.param == "--data" else []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("LOCAL_RANK", "0")
        forget_runs()
        train([PANOPTIC, *data, "--work-dir", "work", "--cfg-options", *TWO_STEPS, *HALF])
        yield place / "work"


def test_the_data_train_a_panoptic_network_and_its_quality_is_measured(run, tmp_path):
    forget_runs()
    found = evaluate([str(run / "iter_2.pth"), "--show-dir", str(tmp_path)])
    assert found.keys() >= QUALITIES
    assert all(0 <= found[name] <= 100 for name in QUALITIES)
    pictures = sorted(tmp_path.glob("*.jpg"))
    assert len(pictures) == 3
    truth, prediction = np.array_split(cv2.imread(str(pictures[0])), 2, axis=1)
    assert (truth != prediction[:, : truth.shape[1]]).any()


def test_its_classes_are_things_and_stuff_together_and_no_picture_is_drawn_of_other_images(run):
    opened = open_checkpoint(run / "iter_2.pth")
    assert set(opened.classes.names) == {*CLASSES, "background"}
    with pytest.raises(ValueError, match="panoptic network, which is not shown here"):
        list(Detector(checkpoint=opened)(np.zeros((64, 80, 3), np.uint8)))


def quality_of_truth(cfg):
    """The metrics of the config's evaluation of a network that finds what is there."""
    dataset, metric = DATASETS.build(cfg.val_dataloader.dataset), METRICS.build(cfg.val_evaluator)
    metric.dataset_meta = dataset.metainfo
    for number in range(len(dataset)):
        sample = dataset[number]["data_samples"]
        found = sample.gt_sem_seg.sem_seg.int()
        for k, mask in enumerate(sample.gt_instances.masks.masks, 1):
            found[0, torch.from_numpy(mask) > 0] += 1000 * k
        sample.pred_panoptic_seg = PixelData(sem_seg=found)
        metric.process({}, [sample.to_dict()])
    return metric.evaluate(len(dataset))


def test_a_network_that_finds_what_is_there_has_quality_100_and_labels_begin_with_things(run):
    cfg = Config.fromfile(run / f"{PANOPTIC}.py")
    found = quality_of_truth(cfg)
    assert {name: found[name] for name in QUALITIES} == dict.fromkeys(QUALITIES, 100)
    about = cfg.train_dataloader.dataset.metainfo
    assert set(about.classes[:4]) == set(about.thing_classes) == set(CLASSES)
    assert tuple(about.classes[4:]) == tuple(about.stuff_classes) == ("background",)


def test_counts_follow_the_folder(other):
    cfg = Config.fromfile(ROOT / f"configs/{PANOPTIC}.py")
    folder = inspect_panoptic(other)
    point_at_panoptic(cfg, replace(folder, things=("a", "b"), stuff=("c", "d", "e")))
    heads = cfg.model.roi_head
    assert (heads.bbox_head.num_classes, heads.mask_head.num_classes) == (2, 2)
    for head in (cfg.model.semantic_head, cfg.model.panoptic_fusion_head):
        assert (head.num_things_classes, head.num_stuff_classes) == (2, 3)


def test_a_metric_of_boxes_is_refused(other):
    cfg = Config.fromfile(ROOT / f"configs/{PANOPTIC}.py")
    cfg.val_evaluator = [cfg.val_evaluator, dict(type="CocoMetric", ann_file="instances.json")]
    with pytest.raises(DataError, match="CocoMetric cannot evaluate the panoptic maps"):
        point_at_panoptic(cfg, inspect_panoptic(other))
