"""Our ops side by side with compiled mmcv's on random input; fails where mmcv is not compiled."""

import mmcv._ext as compiled
import pytest
import torch

from maxvit_mm.openmmlab.mmcv_ops import IN_PYTORCH, StandIn, backend

assert backend() == "compiled mmcv", backend()
SEEDS = range(20)


def random_boxes(number: int, extent: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes of up to 60 pixels, some empty, in whole pixels for every other seed; distinct scores."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(number, 2, generator=generator) * extent
    boxes = torch.cat([corner, corner + torch.rand(number, 2, generator=generator) * 60], 1)
    boxes[::11, 2:] = boxes[::11, :2]
    return boxes.round() if seed % 2 else boxes, torch.randperm(number, generator=generator) / number


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("offset", [0, 1])
def test_nms(seed, offset):
    boxes, scores = random_boxes(700, 40.0 * (1 + seed), seed)
    for threshold in (0.3, 0.5, 0.6, 0.7):
        args = {"iou_threshold": threshold, "offset": offset}
        assert IN_PYTORCH["nms"](boxes, scores, **args).equal(compiled.nms(boxes, scores, **args))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method", [0, 1, 2])
def test_softnms(seed, method):
    boxes, scores = random_boxes(60, 100, seed)
    scores = (scores * 10).round() / 10  # with ties
    for offset, min_score in ((0, 0.0), (0, 1e-3), (1, 0.2)):
        args = {"iou_threshold": 0.3, "sigma": 0.5, "min_score": min_score, "method": method}
        kept, dets = [], []
        for op in (IN_PYTORCH["softnms"], compiled.softnms):
            buffer = torch.zeros(60, 5)
            kept.append(op(boxes, scores, buffer, **args, offset=offset))
            dets.append(buffer[: len(kept[-1])])
        assert kept[0].equal(kept[1])
        torch.testing.assert_close(*dets, equal_nan=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ratio", [0, 1, 3])
@pytest.mark.parametrize("aligned", [True, False])
def test_roi_align(seed, ratio, aligned):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, 5, 20 + seed, 50 - seed, generator=generator)
    corner = torch.randn(40, 2, generator=generator) * 200 + 50  # many partly or wholly outside
    size = torch.rand(40, 2, generator=generator) ** 3 * 400
    size[::9] = 0
    rois = torch.cat([torch.arange(40.0)[:, None] % 2, corner, corner + size], 1)
    grad = torch.randn(40, 5, 7, 6, generator=generator)
    args = {"aligned_height": 7, "aligned_width": 6, "spatial_scale": 0.3}
    args |= {"sampling_ratio": ratio, "pool_mode": 1, "aligned": aligned}
    pooled, grads, none = [], [], torch.zeros(0)
    for ops in (StandIn(), compiled):
        pooled.append(torch.zeros(40, 5, 7, 6))
        ops.roi_align_forward(maps, rois, pooled[-1], none, none, **args)
        grads.append(torch.zeros_like(maps))
        ops.roi_align_backward(grad, rois, none, none, grads[-1], **args)
    torch.testing.assert_close(*pooled, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(*grads, atol=1e-4, rtol=1e-4)
