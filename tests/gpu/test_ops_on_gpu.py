"""The ops that stand in for compiled mmcv's, on CUDA tensors against CPU tensors."""

import pytest
import torch
from mmcv.ops import batched_nms, nms, roi_align, sigmoid_focal_loss, soft_nms
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

pytestmark = pytest.mark.usefixtures("in_full_fp32")


def boxes_and_scores(number, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(number, 2, generator=generator) * 300
    boxes = torch.cat([corner, corner + 1 + torch.rand(number, 2, generator=generator) * 80], 1)
    return boxes, torch.randperm(number, generator=generator).float() / number


@pytest.mark.parametrize("seed", range(5))
def test_nms(device, seed):
    boxes, scores = boxes_and_scores(500, seed)
    classes = torch.arange(500) % 7
    wanted, found = (nms(boxes.to(d), scores.to(d), 0.5) for d in ("cpu", device))
    assert found[1].cpu().equal(wanted[1])
    options = {"type": "nms", "iou_threshold": 0.6}
    wanted, found = (batched_nms(boxes.to(d), scores.to(d), classes.to(d), options) for d in ("cpu", device))
    assert found[1].cpu().equal(wanted[1])


@pytest.mark.parametrize("seed", range(3))
def test_soft_nms(device, seed):
    boxes, scores = boxes_and_scores(60, seed)
    wanted, found = (soft_nms(boxes.to(d), scores.to(d), 0.3, min_score=1e-3) for d in ("cpu", device))
    torch.testing.assert_close(found[0].cpu(), wanted[0], rtol=1e-4, atol=1e-5)


def both(device, function, *inputs):
    """Outputs and gradients of all inputs on the CPU and on the device."""
    results = []
    for where in ("cpu", device):
        given = [each.detach().to(where).requires_grad_() for each in inputs]
        out = function(*given)
        out.backward(torch.linspace(-1, 1, out.numel(), device=out.device).view(out.shape))
        results.append([out.detach().cpu(), *(each.grad.cpu() for each in given)])
    return results


def test_roi_align(device):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 8, 40, 50, generator=generator)
    corner = torch.rand(30, 2, generator=generator) * 150
    rois = torch.cat([torch.arange(30.0)[:, None] % 2, corner, corner + 40], 1)
    wanted, found = both(
        device, lambda m: roi_align(m, rois.to(m.device), (7, 7), 0.25, 0, "avg", True), maps
    )
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_focal_loss(device):
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 9, generator=generator), torch.arange(50) % 10
    wanted, found = both(
        device,
        lambda x: sigmoid_focal_loss(x, labels.to(x.device), 2.0, 0.25, None, "none").reshape(-1),
        logits,
    )
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_deformable_attention(device):
    generator = torch.Generator().manual_seed(0)
    shapes = torch.tensor([[12, 16], [6, 8]])
    starts = torch.tensor([0, 12 * 16])
    values = torch.randn(2, 12 * 16 + 6 * 8, 4, 8, generator=generator)
    places = torch.rand(2, 20, 4, 2, 3, 2, generator=generator)
    weights = torch.rand(2, 20, 4, 2, 3, generator=generator)

    def attend(v, p, w):
        return MultiScaleDeformableAttnFunction.apply(v, shapes.to(v.device), starts.to(v.device), p, w, 64)

    wanted, found = both(device, attend, values, places, weights)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
