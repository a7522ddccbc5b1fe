"""Non-maximum suppression, greedy and soft, in the order and to the index of mmcv's CPU ops.

All in single precision, as there. Two empty boxes overlap by 0 / 0, which suppresses nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128  # boxes decided at a time, against all that are left: enough, and small enough for caches
BLOCK_ON_GPU = 4096  # there the host waits at each block, a few times
ROUNDS = 4  # between two looks at whether all is settled, for which a GPU is waited for
NAIVE, LINEAR, GAUSSIAN = range(3)  # mmcv's numbers for the methods of soft NMS


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes to keep, by falling score; the earlier one first where scores are equal.

    Args:
        boxes: [N, 4], x1, y1, x2, y2.
        scores: [N].
        iou_threshold: a box goes when it overlaps a better one that stays by more.
        offset: 1 where x2 and y2 are the last pixels inside, else 0.
    """
    boxes = boxes.float()
    left = scores.argsort(descending=True, stable=True)
    kept = [left[:0]]
    size = BLOCK_ON_GPU if on_gpu(boxes) else BLOCK
    while left.numel():
        block, left = left[:size], left[size:]
        block = block[unsuppressed(overlap(boxes[block], boxes[block], offset) > iou_threshold)]
        if left.numel():
            left = left[~(overlap(boxes[block], boxes[left], offset) > iou_threshold).any(0)]
        kept.append(block)
    return torch.cat(kept)


def unsuppressed(close: Tensor) -> Tensor:
    """Which of N boxes, best first, greedy NMS keeps, where `close` [N, N] pairs are too close.

    "Kept is what no better kept box is close to" is true of one answer only. Each round of applying
    it settles at least one more box, the best first; mostly a few rounds settle all, and further ones change
    nothing.
    """
    close, rarely = close.triu(1), on_gpu(close)
    kept = close.new_ones(len(close))
    while True:
        for _ in range(ROUNDS if rarely else 1):
            # The size of what a mask picks is waited for; all rows are not.
            before, kept = kept, ~((close & kept[:, None]) if rarely else close[kept]).any(0)
        if kept.equal(before):
            return kept


def on_gpu(tensor: Tensor) -> bool:
    return tensor.is_cuda


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Indices of the boxes that remain, in the order they are picked; fills their rows of `dets`.

    The best box is picked, and the scores of those left fall with their overlap with it. mmcv calls it with
    tensors of the CPU, wherever the boxes are.
    Formula: Bodla et al., `Soft-NMS <https://arxiv.org/abs/1704.04503>`_, section 3.

    Args:
        boxes: [N, 4]. scores: [N].
        dets: [N, 5], written in place: the box and its score when picked.
        iou_threshold: overlap from which the naive and the linear method act.
        sigma: width of the Gaussian method.
        min_score: a box goes when its score falls below.
        method: 0 naive, 1 linear, 2 Gaussian.
        offset: as in `nms`.
    """
    boxes, scores = boxes.float(), scores.float().clone()
    left = torch.arange(len(boxes), device=boxes.device)  # in mmcv's order, which decides ties
    picked: list[int] = []
    while left.numel():
        # A score that is not a number is below none and above none, as in C.
        best = 0 if scores[0].isnan() else int(scores.nan_to_num(-torch.inf).argmax())
        pick = int(left[best])
        dets[len(picked), :4], dets[len(picked), 4] = boxes[pick], scores[best]
        picked.append(pick)
        left[best], scores[best] = left[0], scores[0]
        left, scores = left[1:], scores[1:]

        iou = overlap(boxes[pick, None], boxes[left], offset)[0]
        if method == GAUSSIAN:
            scores = scores * (-(iou * iou) / sigma).exp()
        else:
            lower = scores * (1 - iou) if method == LINEAR else torch.zeros_like(scores)
            scores = lower.where(iou >= iou_threshold, scores)
        order = without(scores < min_score)
        left, scores = left[order], scores[order]
    return torch.tensor(picked, dtype=torch.long, device=boxes.device)


def without(gone: Tensor) -> Tensor:
    """Order of those that stay when each gap is filled from the end, as mmcv does: [N] -> [M]."""
    stay = int((~gone).sum())
    order = torch.arange(stay, device=gone.device)
    order[gone[:stay]] = (~gone[stay:]).nonzero().flatten().flip(0) + stay
    return order


def overlap(ours: Tensor, theirs: Tensor, offset: int) -> Tensor:
    """Intersection over union of boxes [N, 4] and [M, 4]: [N, M]; NaN where the union is empty."""
    x1, y1, x2, y2 = ours[:, None].unbind(-1)
    other_x1, other_y1, other_x2, other_y2 = theirs.unbind(-1)
    width = (x2.minimum(other_x2) - x1.maximum(other_x1) + offset).clamp_(min=0)
    height = (y2.minimum(other_y2) - y1.maximum(other_y1) + offset).clamp_(min=0)
    area = (x2 - x1 + offset) * (y2 - y1 + offset)
    other_area = (other_x2 - other_x1 + offset) * (other_y2 - other_y1 + offset)
    intersection = width.mul_(height)
    return intersection / (area + other_area - intersection)
