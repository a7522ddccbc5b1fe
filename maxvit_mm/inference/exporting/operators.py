"""Operators of an exported graph that PyTorch lacks: NMS and RoIAlign, as ONNX defines them.

Here mmcv computes them, so that a graph can be run, and compared with the detector, before it is written.
"""

from __future__ import annotations

import mmcv.ops
import torch
from torch import Tensor

NOBODY = -1.0  # the score of what is not to be looked at
LOWEST = -0.5  # scores of what is are from 0 to 1


@torch.library.custom_op("maxvit_mm::nms", mutates_args=())
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, most: int) -> Tensor:
    """Greedy suppression, for each image and each group on its own.

    Args:
        boxes: [b, n, 4], x1, y1, x2, y2.
        scores: [b, groups, n]; a box with `NOBODY` for a group is not in it.
        iou_threshold: a box goes when it overlaps a better one that stays by more.
        most: how many stay of a group, the best ones.

    Returns:
        [kept, 3]: image, group and number of each box, by image, then by group, then by falling score.
    """
    kept = [boxes.new_zeros(0, 3, dtype=torch.long)]
    for image, (own, of_groups) in enumerate(zip(boxes, scores, strict=True)):
        for group, score in enumerate(of_groups):
            there = (score > LOWEST).nonzero()[:, 0]
            best = mmcv.ops.nms(own[there], score[there], iou_threshold)[1][:most] if len(there) else there
            which = there[best][:, None]
            kept.append(torch.cat([torch.full_like(which, image), torch.full_like(which, group), which], 1))
    return torch.cat(kept)


@nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, most: int) -> Tensor:
    return boxes.new_empty(torch.library.get_ctx().new_dynamic_size(), 3, dtype=torch.long)


@torch.library.custom_op("maxvit_mm::roi_align", mutates_args=())
def roi_align(
    features: Tensor,
    rois: Tensor,
    image: Tensor,
    height: int,
    width: int,
    scale: float,
    ratio: int,
    aligned: bool,
) -> Tensor:
    """The average of each bin of each RoI: [n, c, height, width].

    Args:
        features: [b, c, rows, columns].
        rois: [n, 4], x1, y1, x2, y2 in pixels of the image.
        image: [n], the number of each RoI's image in the batch.
        scale: pixels of the features in one of the image.
        ratio: samples along each side of a bin; 0 takes one for each pixel, rounded up.
        aligned: whether a pixel's centre, not its corner, is its coordinate.
    """
    numbered = torch.cat([image[:, None].to(rois), rois], 1)
    return mmcv.ops.roi_align(features, numbered, (height, width), scale, ratio, "avg", aligned)


@roi_align.register_fake
def _(
    features: Tensor,
    rois: Tensor,
    image: Tensor,
    height: int,
    width: int,
    scale: float,
    ratio: int,
    aligned: bool,
) -> Tensor:
    return features.new_empty(rois.shape[0], features.shape[1], height, width)
