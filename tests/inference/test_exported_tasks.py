"""A segmenter's and a classifier's test as one graph, before it is written anywhere."""

import numpy as np
import pytest
import torch
from conftest import randomise
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, init_default_scope
from untrained import classifier_config, segmenter_config

from maxvit_mm.inference.building import pipeline_of
from maxvit_mm.inference.exporting.checks import between
from maxvit_mm.inference.exporting.classifying import ClassifierGraph
from maxvit_mm.inference.exporting.segmenting import SegmenterGraph, of_onnx, of_pytorch
from maxvit_mm.weights import CheckpointError

RNG = np.random.default_rng(0)
SIZES = {"even": (64, 96), "odd": (97, 75)}
ALL = dict(in_channels=[32, 32, 64, 64], in_index=[0, 1, 2, 3], channels=8, num_classes=3)
HEADS = {
    "fcn": dict(type="FCNHead", in_channels=64, in_index=3, channels=8, num_convs=1, num_classes=3),
    "upernet": dict(type="UPerHead", pool_scales=(1, 2, 3, 6), align_corners=True, **ALL),
    "fpn": dict(type="FPNHead", feature_strides=[4, 8, 16, 32], **{**ALL, "in_channels": [16] * 4}),
    "psp": dict(type="PSPHead", in_channels=64, in_index=3, channels=8, pool_scales=(1, 3), num_classes=3),
}


def segmenter(head, **changes):
    cfg = segmenter_config()
    cfg.model.decode_head = HEADS[head]
    if head == "fpn":
        cfg.model.neck = dict(type="FPN", in_channels=ALL["in_channels"], out_channels=16, num_outs=4)
    cfg.merge_from_dict(changes)
    init_default_scope("mmseg")
    return randomise(MODELS.build(cfg.model)).eval()


def classifier(**changes):
    cfg = classifier_config()
    cfg.model.data_preprocessor = cfg.data_preprocessor
    cfg.merge_from_dict(changes)
    init_default_scope("mmpretrain")
    model = randomise(MODELS.build(cfg.model)).eval()
    for parameter in model.head.parameters():
        parameter.data *= 0.1  # so that no probability is nearly 0 or 1
    return model


def images(size, several=2):
    return [torch.from_numpy(RNG.integers(256, size=(3, *size), dtype=np.uint8)) for _ in range(several)]


def samples(kind, several):
    return [kind(metainfo=dict(img_shape=tuple(several[0].shape[1:]))) for _ in several]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize(
    ("head", "changes"),
    [
        *[(head, {}) for head in HEADS],
        ("upernet", {"model.data_preprocessor.test_cfg": dict(size_divisor=32)}),
        ("fcn", {"model.data_preprocessor.test_cfg": dict(size=(96, 80))}),
    ],
)
@torch.no_grad()
def test_each_pixel_gets_the_class_that_mmsegmentation_gives_it(head, changes, size):
    from mmseg.structures import SegDataSample

    model, given = segmenter(head, **changes), images(size)
    data = dict(inputs=given, data_samples=samples(SegDataSample, given))
    labels, probabilities = of_pytorch(model, data)
    found = SegmenterGraph(model)(torch.stack(given), torch.tensor([size] * 2))
    torch.testing.assert_close(found[0], labels)
    torch.testing.assert_close(of_onnx(*found)[1], probabilities, atol=1e-6, rtol=1e-5)
    assert probabilities.std() > 0.01


@torch.no_grad()
def test_beside_a_smaller_image_there_is_no_class():
    labels, _ = SegmenterGraph(segmenter("fcn"))(
        torch.stack(images((64, 96))), torch.tensor([[64, 96], [40, 50]])
    )
    assert labels[0].max() < 3
    assert labels[1, :40, :50].max() < 3
    assert (labels[1, 40:] == 255).all()
    assert (labels[1, :, 50:] == 255).all()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.backbone.partition_size": "scaled"},
        {"model.neck": None, "model.head": dict(type="MaxViTClsHead", num_classes=3, in_channels=64)},
    ],
    ids=["linear", "scaled", "official head"],
)
@torch.no_grad()
def test_each_class_gets_the_probability_that_mmpretrain_gives_it(changes, size):
    model, given = classifier(**changes), images(size)
    expected = torch.stack([sample.pred_score for sample in model.test_step(pseudo_collate(of(given)))])
    (scores,) = ClassifierGraph(model)(torch.stack(given), torch.tensor([size] * 2))
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(scores.sum(1), torch.ones(2))


def of(given):
    from mmpretrain.structures import DataSample

    return [dict(inputs=each, data_samples=DataSample()) for each in given]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.test_cfg": dict(mode="slide", crop_size=(64, 64), stride=(32, 32))}, "mode='slide'"),
        ({"model.decode_head.type": "DepthwiseSeparableFCNHead"}, "DepthwiseSeparableFCNHead"),
        ({"model.decode_head.num_classes": 2, "model.decode_head.out_channels": 1}, "out_channels=1"),
    ],
)
def test_a_segmenter_that_cannot_be_exported_is_refused_by_name(changes, said):
    with pytest.raises(CheckpointError, match=f"{said}.* cannot be exported; an EncoderDecoder .* can"):
        SegmenterGraph(segmenter("fcn", **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.neck": dict(type="GeneralizedMeanPooling")}, "GeneralizedMeanPooling"),
        ({"model.head.type": "MultiLabelLinearClsHead"}, "MultiLabelLinearClsHead"),
    ],
)
def test_a_classifier_that_cannot_be_exported_is_refused_by_name(changes, said):
    with pytest.raises(CheckpointError, match=f"{said} cannot be exported; an ImageClassifier .* can"):
        ClassifierGraph(classifier(**changes))


def test_classes_that_differ_are_counted_but_for_ties():
    ours = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7]])
    theirs = torch.tensor([[0.9, 0.1], [0.4999, 0.5001], [0.6, 0.4]])
    row = between((ours.argmax(1), ours), (theirs.argmax(1), theirs), 1e-3)
    assert (row.places, row.others, row.ties, round(row.worst, 3)) == (3, 1, 1, 0.3)


def test_a_probability_that_is_no_number_is_never_the_same():
    ours = torch.tensor([[0.9, 0.1]])
    row = between((ours.argmax(1), ours), (ours.argmax(1), ours * torch.nan), 1e-3)
    assert not row.worst <= 1e-3


def test_the_pipelines_leave_pixels_to_the_graph():
    for cfg in (segmenter_config(), classifier_config()):
        prepared = pipeline_of(cfg, tta=False)(dict(img=np.zeros((80, 90, 3), np.uint8), img_id=0))
        assert prepared["inputs"].dtype is torch.uint8
