"""Costs against sums made by hand and against real tensors."""

import pytest
import torch
from conftest import SMALL
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from maxvit_mm import MaxViT
from maxvit_mm.measure.config_cost import build
from maxvit_mm.measure.cost import count_classifier, count_parts, multiply_adds, training_bytes
from maxvit_mm.measure.live_bytes import LiveBytes
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.openmmlab.shipped_configs import find_config


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_convolutions_matrix_products_and_elements_are_counted(device):
    convolution = nn.Conv2d(3, 8, 3, padding=1, groups=1, device=device)
    depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, device=device)
    norm = nn.BatchNorm2d(8, device=device).eval()
    image = torch.zeros(2, 3, 5, 7, device=device)
    spent, out = multiply_adds(lambda: nn.functional.gelu(norm(depthwise(convolution(image)))))
    pixels = 2 * 5 * 7
    assert out.shape == (2, 8, 5, 7)
    assert spent == pixels * (8 * 3 * 9 + 8 * 9 + 8 + 8)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_fused_attention_is_counted(device):
    query = torch.zeros(2, 4, 49, 32, device=device)
    bias = torch.zeros(4, 49, 49, device=device)
    spent, _ = multiply_adds(
        lambda: nn.functional.scaled_dot_product_attention(query, query, query, attn_mask=bias)
    )
    products = 2 * 2 * 4 * 49 * 49 * 32
    assert products <= spent <= 1.1 * products  # the softmax and the scale on top, where it is not fused


# The paper's Table 2 and, for XL, its repository. B's 23.4 cannot be had: its blocks, 24 to S's 11 at the
# same widths, need 24.0.
@pytest.mark.parametrize(
    ("arch", "published", "within"),
    [
        ("tiny", 5.6, 0.05),
        ("small", 11.7, 0.05),
        ("base", 23.4, 0.65),
        ("large", 43.9, 0.3),
        ("xlarge", 97.9, 0.5),
    ],
)
def test_the_classifiers_cost_what_was_published(arch, published, within):
    with torch.device("meta"):
        classifier = MaxViTClassifier(arch)
    spent = sum(part.multiply_adds for part in count_classifier(classifier, 224, 224)) / 1e9
    assert abs(spent - published) < within


def test_the_cost_of_the_fixed_partition_is_linear_in_the_pixels():
    with torch.device("meta"):
        classifier = MaxViTClassifier(SMALL, partition_size=7)
    small, large = (count_classifier(classifier, side, side)[0].multiply_adds for side in (224, 448))
    assert large == pytest.approx(4 * small, rel=1e-3)


def test_live_bytes_are_those_alive_at_once():
    with LiveBytes() as live:
        first = torch.zeros(100)  # 400 bytes
        second = first + 1  # 800
        view = second[:50]
        del first, second  # 400: the view holds the second
        third = torch.zeros(50)  # 600
        assert live.now == 600
        del view, third
    assert live.peak == 800
    assert live.now == 0


def test_the_meta_device_says_what_real_tensors_take():
    cfg = mask_rcnn()
    counted = training_bytes(build(cfg), 96, 128, "AdamW")
    real = training_bytes(build(cfg).to_empty(device="cpu"), 96, 128, "AdamW")
    assert counted == pytest.approx(real, rel=0.03)


def test_a_whole_training_step_takes_what_is_said():
    """What the estimate leaves out, losses and samples, is little on an image of some size."""
    cfg = mask_rcnn()
    estimate = training_bytes(build(cfg), 320, 320, "AdamW")
    detector = build(cfg).to_empty(device="cpu")
    detector.init_weights()
    detector.train()
    for buffer in detector.buffers():
        buffer.fill_(1)
    from mmdet.testing import demo_mm_inputs

    inputs = demo_mm_inputs(1, [(3, 320, 320)], num_items=[10], num_classes=4, with_mask=True)
    batch = detector.data_preprocessor(inputs, training=True)
    optimizer = torch.optim.AdamW(detector.parameters())
    with LiveBytes() as live:
        for _ in range(2):
            total, _ = detector.parse_losses(detector(**batch, mode="loss"))
            total.backward()
            optimizer.step()
            optimizer.zero_grad()
            del total
    held = sum(p.numel() * 4 for p in detector.parameters())
    assert estimate == pytest.approx(live.peak + held, rel=0.15)


def test_checkpointing_and_a_frozen_stem_take_less_and_averages_more():
    cfg = mask_rcnn()
    plain = training_bytes(build(cfg), 224, 224, "AdamW")
    assert training_bytes(build(cfg), 224, 224, "SGD") < plain
    assert training_bytes(build(cfg), 224, 224, "AdamW", averages=True) > plain
    cfg.model.backbone.frozen_stages = 2
    assert training_bytes(build(cfg), 224, 224, "AdamW") < 0.9 * plain
    cfg.model.backbone.frozen_stages = -1
    # One block a stage keeps about as much as is computed again of it at a time: another has more of them.
    cfg.model.backbone.arch = dict(stem_width=32, widths=(32, 64, 128, 256), depths=(1, 3, 6, 1))
    deep = training_bytes(build(cfg), 448, 448, "SGD")
    cfg.model.backbone.with_cp = True
    assert training_bytes(build(cfg), 448, 448, "SGD") < 0.9 * deep


def mask_rcnn():
    init_default_scope("mmdet")
    return Config.fromfile(find_config("mask_rcnn_maxvit_pico_shapes"))


def test_a_second_stage_is_counted_with_all_its_boxes_and_masks():
    cfg = mask_rcnn()
    backbone, neck, heads = count_parts(build(cfg), 96, 128)
    cfg.model.test_cfg.rpn.max_per_img *= 2
    more = count_parts(build(cfg), 96, 128)
    box = (64 * 49 * 256 + 256 * 256 + 256 * (4 + 5)) + 2 * 256  # two layers, boxes and classes, two ReLUs
    assert more[:2] == [backbone, neck]
    assert more[2].multiply_adds - heads.multiply_adds == 300 * box
    everything = sum(p.numel() for p in build(cfg).parameters())
    assert backbone.parameters + neck.parameters + heads.parameters == everything
    assert backbone.parameters == sum(p.numel() for p in MaxViT("pico").parameters())
