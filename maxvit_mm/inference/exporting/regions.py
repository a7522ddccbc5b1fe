"""Heads that look at regions of the maps, RoIs: boxes, cascades of them, and masks.

How many regions there are depends on the image. One more is always added, and left out at the end, so that no
layer ever sees none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .dense import Found, clipped, moved_apart
from .operators import NOBODY, nms, roi_align
from .pixels import dtype_of


def region_boxes(roi_head: Any, maps: Sequence[Tensor], proposals: Found, sizes: Tensor) -> Found:
    """What MMDetection's `predict_bbox` of a standard or a cascade RoI head finds."""
    rois, image = with_one_more(proposals.boxes, proposals.image, sizes)
    heads = stages_of(roi_head.bbox_head)
    logits = []
    for head, extractor in zip(heads, stages_of(roi_head.bbox_roi_extractor), strict=True):
        cls_score, bbox_pred = head(pooled(extractor, maps, rois, image).to(dtype_of(head)))
        logits.append(cls_score.float())
        deltas = bbox_pred.float()
        if len(logits) < len(heads):
            rois = refined(head, rois, deltas, logits[-1], sizes[image])
    scores = (sum(logits) / len(logits)).softmax(-1)[:-1, :-1]
    boxes = decoded(heads[-1], rois, deltas, sizes[image])
    return best_of_regions(boxes, scores, image, sizes.shape[0], roi_head.test_cfg)


def best_of_regions(boxes: Tensor, scores: Tensor, image: Tensor, images: int, cfg: Any) -> Found:
    """Suppression in each class and image. boxes: [n, classes or 1, 4]. scores: [n - 1, classes]."""
    region, label = (scores > cfg.score_thr).nonzero().unbind(1)
    of_class = label if boxes.shape[1] > 1 else torch.zeros_like(label)
    # One more here as well: an NMS of nothing is nothing that all runtimes agree on.
    found = torch.cat([boxes[region, of_class], boxes[-1:, 0]])
    score = torch.cat([scores[region, label], scores.new_full((1,), NOBODY)])
    label, image = torch.cat([label, label.new_zeros(1)]), torch.cat([image[region], image[-1:]])
    of_image = torch.where(image == torch.arange(images, device=image.device)[:, None], score, NOBODY)
    apart = moved_apart(found, label, cfg.nms, (0, 1))
    kept = nms(apart[None], of_image[None], cfg.nms.iou_threshold, cfg.max_per_img)
    which = kept[:, 2]
    return Found(found[which], score[which], label[which], kept[:, 1])


def region_masks(roi_head: Any, maps: Sequence[Tensor], found: Found, sizes: Tensor) -> Tensor:
    """How probable it is that each part of a box is the object's: [n, height, width] of the mask head."""
    rois, image = with_one_more(found.boxes, found.image, sizes)
    label = torch.cat([found.labels, found.labels.new_zeros(1)])
    heads = stages_of(roi_head.mask_head)
    masks = []
    for head, extractor in zip(heads, stages_of(roi_head.mask_roi_extractor), strict=True):
        logits = head(pooled(extractor, maps, rois, image).to(dtype_of(head))).float()
        own = logits[:, 0] if head.class_agnostic else logits[torch.arange(label.shape[0]), label]
        masks.append(own.sigmoid())
    return (sum(masks) / len(masks))[:-1]


def with_one_more(boxes: Tensor, image: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Regions [n, 4] and their images [n], and the first image as one more region."""
    whole = torch.cat([torch.zeros_like(sizes[:1]), sizes[:1].flip(-1)], 1)
    return torch.cat([boxes, whole.to(boxes)]), torch.cat([image, image.new_zeros(1)])


def pooled(extractor: Any, maps: Sequence[Tensor], rois: Tensor, image: Tensor) -> Tensor:
    """RoIAlign of each region on the map that the extractor chooses for its size: [n, c, height, width]."""
    layers = extractor.roi_layers
    numbered = torch.cat([image[:, None].to(rois), rois], 1)
    levels = extractor.map_roi_levels(numbered, len(layers))
    parts = []
    for level, (layer, features) in enumerate(zip(layers, maps[: len(layers)], strict=True)):
        which = (levels == level).nonzero()[:, 0]
        parts.append(
            roi_align(
                *(features.float(), rois[which], image[which], *layer.output_size),
                *(layer.spatial_scale, layer.sampling_ratio, layer.aligned),
            )
        )
    number = torch.arange(rois.shape[0], device=rois.device)
    by_level = (levels * rois.shape[0] + number).argsort()
    return torch.cat(parts)[by_level.argsort()]


def decoded(head: Any, rois: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
    """Regions moved by their deltas, for each class or for all: [n, classes or 1, 4]."""
    classes = 1 if head.reg_class_agnostic else head.num_classes
    repeated = rois[:, None].expand(-1, classes, -1).flatten(0, 1)
    boxes = head.bbox_coder.decode(repeated, deltas.reshape(-1, 4)).view(-1, classes, 4)
    return clipped(boxes, sizes[:, None]) if head.bbox_coder.clip_border else boxes


def refined(head: Any, rois: Tensor, deltas: Tensor, logits: Tensor, sizes: Tensor) -> Tensor:
    """The regions of a cascade's next stage: moved as the likeliest class says."""
    boxes = decoded(head, rois, deltas, sizes)
    if head.reg_class_agnostic:
        return boxes[:, 0]
    return boxes[torch.arange(rois.shape[0]), logits[:, :-1].argmax(1)]


def stages_of(part: Any) -> list[Any]:
    """The parts of a cascade's stages, or the only one."""
    return list(part) if isinstance(part, nn.ModuleList) else [part]
