"""How often ops in plain PyTorch would wait for a GPU: never, or a few times however large the work is."""

import pytest
import torch
from reads import counted_reads, no_reads

from maxvit_mm.openmmlab.mmcv_ops import deformable_attention, focal_loss, nms, roi_align


@pytest.fixture
def gpu(monkeypatch):
    """NMS takes its tensors for a GPU's."""
    monkeypatch.setattr(nms, "on_gpu", lambda tensor: True)


def boxes_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 300
    size = 5 + torch.rand(count, 2, generator=generator) * 120
    return torch.cat([corner, corner + size], 1), torch.rand(count, generator=generator)


@pytest.mark.parametrize("count", [1, 500, 1000])
def test_nms_waits_a_few_times_and_keeps_the_same(monkeypatch, count):
    boxes, scores = boxes_of(count)
    expected = nms.nms(boxes, scores, 0.5, 0)
    with counted_reads() as on_a_cpu:
        nms.nms(boxes, scores, 0.5, 0)
    monkeypatch.setattr(nms, "on_gpu", lambda tensor: True)
    with counted_reads() as seen:
        assert nms.nms(boxes, scores, 0.5, 0).equal(expected)
    seen.remove("equal")  # this test's own
    assert set(seen) == {"equal", "index"}
    assert len(seen) <= 5
    assert count == 1 or len(on_a_cpu) > 2 * len(seen)


@pytest.mark.parametrize("seed", range(3))
def test_nms_in_several_large_blocks_keeps_the_same(gpu, monkeypatch, seed):
    boxes, scores = boxes_of(300, seed)
    monkeypatch.setattr(nms, "BLOCK_ON_GPU", 64)
    found = nms.nms(boxes, scores, 0.4, 1)
    monkeypatch.setattr(nms, "on_gpu", lambda tensor: False)
    assert found.equal(nms.nms(boxes, scores, 0.4, 1))


def align(maps, rois, ratio):
    output, none = maps.new_empty(len(rois), maps.shape[1], 7, 5), maps.new_empty(0)
    roi_align.roi_align_forward(maps, rois, output, none, none, 7, 5, 0.25, ratio, 1, True)


@pytest.mark.parametrize("count", [3, 60])
def test_roi_align_waits_twice_and_once_more_on_its_way_back_however_many_sizes_its_rois_have(count):
    boxes, _ = boxes_of(count)
    rois = torch.cat([torch.zeros(count, 1), boxes], 1)
    maps = torch.randn(1, 4, 80, 80)
    with counted_reads() as seen:
        align(maps, rois, 0)
    assert seen == ["unique_dim", "tolist"]
    grad, none = torch.randn(count, 4, 7, 5), maps.new_empty(0)
    with counted_reads() as seen:
        roi_align.roi_align_backward(grad, rois, none, none, torch.zeros_like(maps), 7, 5, 0.25, 0, 1, True)
    assert seen == ["unique_dim", "tolist", "unique_consecutive"]


def test_focal_loss_does_not_wait():
    logits, target, weight = torch.randn(6, 4), torch.arange(6).clamp(max=4), torch.rand(4)
    output = torch.empty_like(logits)
    with no_reads():
        focal_loss.sigmoid_focal_loss_forward(logits, target, weight, output, 2.0, 0.25)
        focal_loss.sigmoid_focal_loss_backward(logits, target, weight, output, 2.0, 0.25)


def test_deformable_attention_waits_once_for_all_layers_of_a_step():
    shapes, starts = torch.tensor([[4, 6], [2, 3]]), torch.tensor([0, 24])
    value = torch.randn(1, 30, 2, 8)
    places, weights = torch.rand(1, 5, 2, 2, 3, 2), torch.rand(1, 5, 2, 2, 3)
    with counted_reads() as seen:
        for _ in range(3):
            out = deformable_attention.ms_deform_attn_forward(value, shapes, starts, places, weights, 64)
            buffers = [torch.zeros_like(each) for each in (value, places, weights)]
            deformable_attention.ms_deform_attn_backward(
                value, shapes, starts, places, weights, out, *buffers, 64
            )
    assert seen == ["tolist"]
    shapes[0, 0], shapes[0, 1] = 6, 4  # written to: read anew
    assert deformable_attention.sizes_in(shapes) == [[6, 4], [2, 3]]
