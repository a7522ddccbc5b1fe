"""Panoptic FPN trains and is evaluated, on the embedded data and on a folder in COCO's panoptic format."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config
from mmengine.structures import PixelData
from runs import HALF, TWO_STEPS, forget_runs

from maxvit_mm.commands.test import main as evaluate
from maxvit_mm.commands.train import main as train

PANOPTIC = "panoptic_fpn_maxvit_pico_shapes"
QUALITIES = {f"coco_panoptic/{of}{which}" for of in ("PQ", "SQ", "RQ") for which in ("", "_th", "_st")}


@pytest.fixture(scope="module")
def run(shapes, tmp_path_factory):
    """A work directory after two steps on the embedded data, where the config looks for them."""
    place = tmp_path_factory.mktemp("panoptic")
    (place / "data").mkdir()
    (place / "data/shapes").symlink_to(shapes)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("LOCAL_RANK", "0")
        forget_runs()
        train([PANOPTIC, "--work-dir", "work", "--cfg-options", *TWO_STEPS, *HALF])
        yield place / "work"


def test_the_embedded_data_train_a_panoptic_network_and_its_quality_is_measured(run, tmp_path):
    forget_runs()
    found = evaluate([str(run / "iter_2.pth"), "--show-dir", str(tmp_path)])
    assert found.keys() >= QUALITIES
    assert all(0 <= found[name] <= 100 for name in QUALITIES)
    pictures = sorted(tmp_path.glob("*.jpg"))
    assert len(pictures) == 3
    truth, prediction = np.array_split(cv2.imread(str(pictures[0])), 2, axis=1)
    assert (truth != prediction[:, : truth.shape[1]]).any()


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


def test_a_network_that_finds_what_is_there_has_quality_100(run):
    found = quality_of_truth(Config.fromfile(run / f"{PANOPTIC}.py"))
    assert {name: found[name] for name in QUALITIES} == dict.fromkeys(QUALITIES, 100)
