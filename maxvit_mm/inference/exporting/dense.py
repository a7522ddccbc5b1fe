"""Heads that look at every place of the maps, RPN and RetinaNet: their boxes as tensors of known sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .operators import NOBODY, nms


class Found(NamedTuple):
    """Boxes of all images of a batch, by image, then by falling score.

    Attributes:
        boxes: [n, 4], x1, y1, x2, y2 in pixels of the image that the network sees.
        scores: [n].
        labels: [n].
        image: [n], the number of each box's image in the batch.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    image: Tensor


def dense_boxes(head: Any, maps: Sequence[Tensor], sizes: Tensor, cfg: Any, apart: str) -> Found:
    """What MMDetection's `predict_by_feat` of an RPN or RetinaNet head finds.

    Args:
        head: its own anchors, coder and layers are used.
        maps: of the neck.
        sizes: [b, 2], height and width of each image.
        cfg: the head's `test_cfg`.
        apart: what never suppresses each other: boxes of another 'level' or of another 'label'.
    """
    levels = [
        best_of_level(head, level, cls_score, bbox_pred, cfg)
        for level, (cls_score, bbox_pred) in enumerate(zip(*head(maps), strict=True))
    ]
    boxes, scores, labels = (torch.cat(parts, 1) for parts in zip(*levels, strict=True))
    if head.bbox_coder.clip_border:
        boxes = clipped(boxes, sizes[:, None])
    if cfg.get("min_bbox_size", -1) >= 0:
        is_large = ((boxes[..., 2:] - boxes[..., :2]) > cfg.min_bbox_size).all(-1)
        scores = torch.where(is_large, scores, NOBODY)
    groups = labels
    if apart == "level":
        of_level = torch.arange(len(levels), device=boxes.device)[:, None]
        groups = of_level.expand(-1, cfg.nms_pre).flatten().expand_as(labels)
    shifted = moved_apart(boxes, groups, cfg.nms, (1, 2))
    kept = nms(shifted, scores[:, None], cfg.nms.iou_threshold, cfg.max_per_img)
    image, which = kept[:, 0], kept[:, 2]
    return Found(boxes[image, which], scores[image, which], labels[image, which], image)


def best_of_level(
    head: Any, level: int, cls_score: Tensor, bbox_pred: Tensor, cfg: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """The `nms_pre` best boxes of a level, [b, nms_pre, 4], their scores and labels; the rest is nobody's."""
    b, _, *size = cls_score.shape
    classes, most = head.cls_out_channels, cfg.nms_pre
    logits = cls_score.float().permute(0, 2, 3, 1).reshape(b, -1, classes)
    scores = logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1)[..., :-1]
    classes = scores.shape[-1]
    scores = scores.flatten(1)
    if cfg.get("score_thr", 0) > 0:
        scores = torch.where(scores > cfg.score_thr, scores, NOBODY)
    best, which = F.pad(scores, (0, most), value=NOBODY).topk(most)
    which = which.clamp(max=scores.shape[1] - 1)
    place = which // classes
    deltas = bbox_pred.float().permute(0, 2, 3, 1).reshape(b, -1, 4)
    deltas = deltas.gather(1, place[..., None].expand(-1, -1, 4))
    priors = head.prior_generator.single_level_grid_priors(size, level, deltas.dtype, deltas.device)
    boxes = head.bbox_coder.decode(priors[place.flatten()], deltas.flatten(0, 1))
    return boxes.view(b, most, 4), best, which % classes


def clipped(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes [..., 4] within images whose height and width are sizes [..., 2]."""
    return torch.minimum(boxes.clamp(min=0), sizes.flip(-1).repeat(*[1] * (sizes.ndim - 1), 2).to(boxes))


def moved_apart(boxes: Tensor, groups: Tensor, cfg: Any, over: tuple[int, ...]) -> Tensor:
    """Boxes [..., 4] moved so that those of different groups do not overlap, as mmcv's `batched_nms` does.

    Args:
        groups: [...].
        cfg: of the NMS.
        over: the axes over which the farthest coordinate is looked for.
    """
    if cfg.get("class_agnostic"):
        return boxes
    return boxes + groups[..., None] * (boxes.amax(over, keepdim=True) + 1)
