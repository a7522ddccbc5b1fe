"""A detector's test as one graph finds what MMDetection's own test finds, before it is written anywhere."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from runs import PICO

from maxvit_mm.inference.building import pipeline_of
from maxvit_mm.inference.exporting.comparison import (
    EXACT,
    Borders,
    Case,
    Row,
    Tolerance,
    borders_of,
    compare_maps,
    is_same,
    matched,
)
from maxvit_mm.inference.exporting.comparison import table as table_of
from maxvit_mm.inference.exporting.export import refuse_floats
from maxvit_mm.inference.exporting.graph import DetectorGraph
from maxvit_mm.inference.exporting.pixels import MapsGraph
from maxvit_mm.inference.exporting.running import OnnxDetector
from maxvit_mm.openmmlab.shipped_configs import find_config
from maxvit_mm.weights import CheckpointError

CLOSE = Tolerance(boxes=1e-3, scores=1e-5, masks=0)
CASCADE = "cascade_mask_rcnn_maxvit_pico_shapes"


def config(name=PICO, **changes):
    cfg = Config.fromfile(find_config(name))
    cfg.model.backbone.update(out_indices=(0, 1))
    cfg.model.neck.in_channels = [32, 64]
    cfg.model.test_cfg.rpn.update(nms_pre=100, max_per_img=40)
    cfg.model.test_cfg.rcnn.update(max_per_img=10)
    cfg.merge_from_dict(changes)
    return cfg


def faster():
    cfg = config(**{"model.type": "FasterRCNN", "model.roi_head.bbox_head.reg_class_agnostic": False})
    for part in ("mask_head", "mask_roi_extractor"):
        del cfg.model.roi_head[part]
    return cfg


def retina():
    cfg, base = config(), Config.fromfile(find_config("retinanet_maxvit_b_640_coco")).model
    for part in ("rpn_head", "roi_head"):
        del cfg.model[part]
    head = dict(base.bbox_head, num_classes=4, in_channels=64, feat_channels=16, stacked_convs=1)
    cfg.model.update(type="RetinaNet", bbox_head=head, test_cfg=base.test_cfg, train_cfg=None)
    cfg.model.test_cfg.update(nms_pre=100, max_per_img=10)
    cfg.model.bbox_head.anchor_generator.strides = [4, 8, 16, 32, 64]
    return cfg


def built(cfg):
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    model.init_weights()
    for part in model.modules():  # so that classes and boxes differ from place to place
        if type(part).__name__ in ("Conv2d", "Linear") and part.weight.std() < 0.02:
            torch.nn.init.normal_(part.weight, std=0.05)
    return model


def scene():
    return np.random.default_rng(0).integers(256, size=(120, 150, 3), dtype=np.uint8)


SCENE = scene()
BATCHES = {"one": [SCENE], "odd": [SCENE[:97, :75]], "two of other sizes": [SCENE[:64], SCENE[:, :99]]}


@pytest.fixture(scope="module", params=["mask", "cascade", "faster", "retina"])
def detector(request):
    cfg = {"mask": config, "cascade": lambda: config(CASCADE), "faster": faster, "retina": retina}[
        request.param
    ]()
    return pipeline_of(cfg, tta=False), built(cfg)


@pytest.mark.parametrize("images", BATCHES.values(), ids=BATCHES.keys())
@torch.no_grad()
def test_the_graph_finds_what_the_detector_finds(detector, images):
    pipeline, model = detector
    samples = model.test_step(pseudo_collate([pipeline(dict(img=each.copy(), img_id=0)) for each in images]))
    sizes = torch.tensor([image.shape[:2] for image in images])
    batch = torch.zeros(len(images), 3, *sizes.amax(0), dtype=torch.uint8)
    for room, image in zip(batch, images, strict=True):
        room[:, : image.shape[0], : image.shape[1]] = torch.from_numpy(image).permute(2, 0, 1)
    boxes, scores, labels, image, *masks = DetectorGraph(model)(batch, sizes)
    assert sum(len(sample.pred_instances) for sample in samples) > 0
    for number, sample in enumerate(samples):
        own = InstanceData(bboxes=boxes, scores=scores, labels=labels)[image == number]
        row = matched(sample.pred_instances, own, CLOSE, borders_of(model))
        assert is_same([row])
        assert row.matched == len(own)
    assert [len(each) for each in masks] == [len(boxes)] * len(masks)


@torch.no_grad()
def test_the_graph_of_a_backbone_gives_its_maps():
    model = built(config())
    images = torch.from_numpy(SCENE).permute(2, 0, 1)[None]
    maps = MapsGraph(model)(images, torch.tensor([SCENE.shape[:2]]))
    prepared = model.data_preprocessor(dict(inputs=[images[0]]))["inputs"]
    for found, wanted in zip(maps, model.backbone(prepared), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.test_cfg.rcnn.nms.type": "soft_nms"}, "the NMS .*soft_nms"),
        ({"model.roi_head.type": "PointRendRoIHead"}, "PointRendRoIHead"),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name(changes, said):
    cfg = config(**changes)
    if "PointRend" in said:
        cfg.model.roi_head.point_head = dict(
            type="MaskPointHead", num_fcs=1, in_channels=64, fc_channels=8, num_classes=4
        )
    with pytest.raises(CheckpointError, match=f"{said}.* cannot be exported"):
        DetectorGraph(built(cfg))


def finds(*rows):
    boxes, scores, labels = zip(*rows, strict=True)
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels),
    )


FIRST, SECOND = [10, 10, 50, 50], [60, 60, 90, 90]
BORDERS = Borders(score=0.05, most=100, overlap=0.5)


def test_finds_are_matched_one_to_one_in_any_order():
    one = finds((FIRST, 0.9, 1), (SECOND, 0.8, 0))
    other = finds((SECOND, 0.8, 0), ([10, 10, 50, 50.5], 0.88, 1))
    row = matched(one, other, EXACT, BORDERS)
    assert (row.matched, row.off, row.ties, row.alone) == (2, 1, 0, 0)
    assert (row.boxes, round(row.scores, 3)) == (0.5, 0.02)
    assert not is_same([row])


@pytest.mark.parametrize(
    ("more", "ties", "alone"),
    [
        ((SECOND, 0.7, 0), 0, 1),  # nothing explains it
        ((SECOND, 0.0504, 0), 1, 0),  # at the lowest score
        (([10, 10, 50, 30.02], 0.7, 1), 1, 0),  # covers half of another of its class, where the NMS decides
        (([10, 10, 50, 30.02], 0.7, 2), 0, 1),  # of another class
    ],
)
def test_a_find_of_one_alone_is_excused_only_at_a_border(more, ties, alone):
    row = matched(finds((FIRST, 0.9, 1)), finds((FIRST, 0.9, 1), more), EXACT, BORDERS)
    assert (row.matched, row.ties, row.alone) == (1, ties, alone)
    assert is_same([row]) is (alone == 0)


@pytest.mark.parametrize("what", [dict(off=1), dict(alone=1)])
def test_one_find_in_two_hundred_may_be_another_one(what):
    row = Row("", "", matched=150, off=0, ties=0, alone=0, boxes=0.0, scores=0.0, masks=0.0)
    assert not is_same([row._replace(**what)])
    assert is_same([row._replace(**what), row])


def test_the_table_names_each_case():
    row = matched(finds((FIRST, 0.9, 1)), finds((FIRST, 0.9, 1)), EXACT, BORDERS)
    text = table_of([row._replace(name=Case("a scene", []).name, size="9x9")])
    assert text.splitlines()[1].split() == ["a", "scene", "9x9", "1", "0", "0", "0", "0", "0.0e+00", "0.00%"]


def test_finds_without_an_area_are_themselves():
    one = finds(([10, 10, 10, 50], 0.9, 1), ([20, 10, 60, 10], 0.8, 1))
    row = matched(one, one, EXACT, BORDERS)
    assert (row.matched, row.off, row.alone) == (2, 0, 0)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_what_is_no_number_is_never_the_same(broken):
    row = matched(finds((FIRST, 0.9, 1)), finds((FIRST, broken, 1)), EXACT, BORDERS)
    assert row.off == 1

    class Session:
        def run(self, names, inputs):
            return [np.ones((1, 2, 3, 3), np.float32), np.full((1, 2, 3, 3), broken, np.float32)]

    maps = torch.arange(18, dtype=torch.float32).view(1, 2, 3, 3)
    assert not compare_maps(lambda *_: [maps, maps], Session(), Case("", [SCENE])) < 1e30


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda roi_head: setattr(roi_head.test_cfg, "mask_thr_binary", -1), "soft masks"),
        (lambda roi_head: setattr(roi_head.bbox_roi_extractor.roi_layers[0], "pool_mode", "max"), "'max'"),
    ],
)
def test_what_would_be_exported_as_something_else_is_refused(change, said):
    model = built(config())
    change(model.roi_head)
    with pytest.raises(CheckpointError, match=f"{said}.* cannot be exported"):
        DetectorGraph(model)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (torch.zeros(3, 31, 40, dtype=torch.uint8), "40x31 pixels, it takes 32"),
        (torch.zeros(3, 64, 64), "takes images of bytes"),
    ],
)
def test_a_file_is_given_no_image_that_its_network_does_not_take(image, said):
    with pytest.raises(ValueError, match=said):
        OnnxDetector.forward(SimpleNamespace(), [image], [])


def test_a_pipeline_that_normalises_is_refused_before_anything_is_written():
    cfg = config()
    refuse_floats(SimpleNamespace(config=cfg))
    steps = cfg.test_dataloader.dataset.pipeline
    steps.insert(-1, dict(type="Normalize", mean=[0, 0, 0], std=[1, 1, 1], to_rgb=True))
    with pytest.raises(CheckpointError, match=r"makes images of torch\.float32"):
        refuse_floats(SimpleNamespace(config=cfg))
