from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

CONFIGS = Path(__file__).parents[1] / "configs"
LEAVES = sorted(CONFIGS.glob("*.py"))


@pytest.fixture(params=LEAVES, ids=[path.stem for path in LEAVES])
def cfg(request, tmp_path, monkeypatch):
    """A config, read while standing in a foreign folder."""
    monkeypatch.chdir(tmp_path)
    init_default_scope("mmdet")
    return Config.fromfile(request.param)


@pytest.fixture
def detector(cfg):
    detector = MODELS.build(cfg.model)
    detector.init_weights()
    return detector


def packed(detector, num_items, num_classes):
    """Two tiny photographs with as many random instances each, as the data pipeline packs them."""
    shapes = [(3, 96, 128), (3, 75, 101)]
    inputs = demo_mm_inputs(2, shapes, num_items=num_items, num_classes=num_classes, with_mask=True)
    if 0 in num_items:  # an image without an object has masks of its size, only none of them
        for sample in inputs["data_samples"]:
            masks = sample.gt_instances.masks
            assert len(masks) == len(sample.gt_instances.bboxes)
    return detector.data_preprocessor(inputs, training=True)


def losses(detector, batch):
    found = detector(**batch, mode="loss")
    total, named = detector.parse_losses(found)
    assert all(np.isfinite(float(value)) for value in named.values()), named
    return total


def test_the_neck_takes_what_the_backbone_gives(cfg, detector):
    assert detector.backbone.out_channels == list(cfg.model.neck.in_channels)


def test_a_training_step_gives_every_parameter_a_gradient(cfg, detector):
    classes = cfg.model.roi_head.bbox_head.num_classes
    detector.train()
    losses(detector, packed(detector, [6, 4], classes)).backward()
    without = [n for n, p in detector.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in detector.parameters() if p.grad is not None)


@pytest.mark.parametrize("num_items", [[0, 3], [0, 0]])
def test_images_without_an_object_train(cfg, detector, num_items):
    classes = cfg.model.roi_head.bbox_head.num_classes
    detector.train()
    total = losses(detector, packed(detector, num_items, classes))
    total.backward()
    assert total.isfinite()


def test_a_test_step_gives_boxes_and_masks_within_the_image(cfg, detector):
    detector.eval()
    detector.roi_head.test_cfg.score_thr = 0.0
    batch = packed(detector, [2, 2], cfg.model.roi_head.bbox_head.num_classes)
    with torch.no_grad():
        results = detector(**batch, mode="predict")
    for result in results:
        height, width = result.ori_shape
        found = result.pred_instances
        assert len(found) > 0
        assert found.masks.shape == (len(found), height, width)
        assert (found.bboxes >= 0).all()
        assert (found.bboxes <= torch.tensor([width, height, width, height])).all()


def test_norms_biases_and_tables_do_not_decay(cfg, detector):
    optimizer = build_optim_wrapper(detector, cfg.optim_wrapper).optimizer
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in detector.named_parameters():
        free = parameter.ndim == 1 or name.endswith("relative_position_bias_table")
        assert (decay[id(parameter)] == 0) == free, name


def test_every_run_imports_the_plugin_and_checks_the_classes(cfg):
    assert cfg.custom_imports == dict(imports=["maxvit_mm"], allow_failed_imports=False)
    assert {"NumClassCheckHook", "ClassNamesHook"} <= {hook.type for hook in cfg.custom_hooks}
    assert not hasattr(MODELS.build(cfg.model).backbone, "num_classes")  # the first of them asks it
