"""Mask R-CNN finds the same in photographs with compiled mmcv's ops and with ours."""

import sys

import mmcv
import mmcv._ext as compiled
import pytest
import torch
from conftest import FILES
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.hub import get_config

from maxvit_mm.openmmlab.mmcv_ops import StandIn, backend, torchvision_ops

assert backend() == "compiled mmcv", backend()
PHOTOS = sorted((FILES / "photos").glob("*.jpg"))
WIDTH = 64


@pytest.fixture(scope="module")
def detector() -> torch.nn.Module:
    """MMDetection's own Mask R-CNN, narrow, random and sure of nothing, so that it finds 100 objects."""
    register_all_modules()
    cfg = get_config("mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py").model
    cfg.backbone.update(depth=18, init_cfg=None)
    cfg.neck.update(in_channels=[64, 128, 256, 512], out_channels=WIDTH)
    cfg.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    heads = cfg.roi_head
    heads.bbox_roi_extractor.out_channels = heads.mask_roi_extractor.out_channels = WIDTH
    heads.bbox_head.update(in_channels=WIDTH, fc_out_channels=WIDTH, num_classes=5)
    heads.mask_head.update(in_channels=WIDTH, conv_out_channels=WIDTH, num_classes=5)
    cfg.test_cfg.rcnn.score_thr = 0.0
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    for name, weight in model.named_parameters():
        if name.endswith(("rpn_cls.weight", "rpn_reg.weight", "fc_cls.weight", "fc_reg.weight")):
            torch.nn.init.normal_(weight, std=0.1)  # the usual 0.01 leaves all boxes where anchors are
    return model.eval()


def find(detector: torch.nn.Module) -> list:
    """What the detector finds in each photograph."""
    images = [mmcv.imread(photo) for photo in PHOTOS]
    meta = [{"img_shape": i.shape[:2], "ori_shape": i.shape[:2], "scale_factor": (1, 1)} for i in images]
    batch = {
        "inputs": [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images],
        "data_samples": [DetDataSample(metainfo=info) for info in meta],
    }
    with torch.no_grad():
        return [sample.pred_instances for sample in detector.test_step(batch)]


def test_mask_rcnn_finds_the_same(detector, monkeypatch):
    callers = [sys.modules[f"mmcv.ops.{name}"] for name in ("nms", "roi_align")]
    assert all(caller.ext_module is compiled for caller in callers)
    expected = find(detector)
    monkeypatch.setattr(torchvision_ops, "work", lambda: False)
    for caller in callers:
        monkeypatch.setattr(caller, "ext_module", StandIn())
    found = find(detector)
    assert len(found) == len(PHOTOS) == 2
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == 100
        assert theirs.masks.float().mean() > 1e-4
        assert ours.labels.equal(theirs.labels)
        torch.testing.assert_close(ours.scores, theirs.scores, atol=1e-5, rtol=0)
        torch.testing.assert_close(ours.bboxes, theirs.bboxes, atol=1e-3, rtol=0)  # pixels
        assert (ours.masks != theirs.masks).float().mean() < 1e-4
