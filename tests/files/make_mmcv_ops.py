"""Make `mmcv_ops.npz`: what compiled mmcv 2.1.0 (CPU, torch 2.13.0) answers, beside what it was asked.

Run from the repository's root in the environment of `make test-compiled`:

    python tests/files/make_mmcv_ops.py

Scores are distinct for `nms`, as the order of equal ones is the machine's there, and not for `soft_nms`.
A key is `op/case/name`; names are the arguments' and, in capitals, the results'.
"""

from pathlib import Path

import mmcv._ext  # noqa: F401  (fails where mmcv is not compiled)
import numpy as np
import torch
from mmcv.ops import batched_nms, nms, roi_align, soft_nms

stored: dict[str, np.ndarray] = {}


def store(case: str, **values: object) -> None:
    stored.update({f"{case}/{name}": np.asarray(value) for name, value in values.items()})


def random_boxes(number: int, extent: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes of up to 40 pixels with their corner in a square of `extent`, some empty; and their scores."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(number, 2, generator=generator) * extent
    boxes = torch.cat([corner, corner + torch.rand(number, 2, generator=generator) * 40], 1)
    boxes[::13, 2:] = boxes[::13, :2]
    return boxes, torch.randperm(number, generator=generator) / number


def store_nms() -> None:
    for name, number, extent in (("random", 300, 300), ("clustered", 300, 30), ("none", 0, 1)):
        boxes, scores = random_boxes(number, extent, seed=1)
        for offset in (0, 1):
            for score_threshold in (0.0, 0.3):
                args = {"iou_threshold": 0.5, "offset": offset, "score_threshold": score_threshold}
                dets, kept = nms(boxes, scores, **args)
                case = f"nms/{name}, offset {offset}, scores above {score_threshold}"
                store(case, boxes=boxes, scores=scores, **args, DETS=dets, KEPT=kept)
    boxes, scores = random_boxes(300, 100, seed=2)
    idxs = torch.arange(300) % 3
    for split_thr in (10000, 100):  # all at once, and class by class
        cfg = {"type": "nms", "iou_threshold": 0.5, "split_thr": split_thr, "max_num": 90}
        dets, kept = batched_nms(boxes, scores, idxs, cfg)
        case = f"batched_nms/split at {split_thr}"
        store(case, boxes=boxes, scores=scores, idxs=idxs, split_thr=split_thr, DETS=dets, KEPT=kept)


def store_soft_nms() -> None:
    boxes, scores = random_boxes(60, 50, seed=3)
    scores = (scores * 10).round() / 10
    for method in ("naive", "linear", "gaussian"):
        for offset, min_score in ((0, 1e-3), (1, 0.3), (0, 0.0)):
            args = {"iou_threshold": 0.3, "min_score": min_score, "method": method, "offset": offset}
            dets, kept = soft_nms(boxes, scores, **args)
            case = f"soft_nms/{method}, offset {offset}, min_score {min_score}"
            store(case, boxes=boxes, scores=scores, **args, DETS=dets, KEPT=kept)


def store_roi_align() -> None:
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(2, 3, 13, 17, generator=generator)
    boxes = [  # in a map of 26 x 34 pixels at half its scale
        [0, 2.0, 3.0, 9.0, 21.0],
        [1, 5.3, 1.7, 33.1, 25.2],
        [1, 0.0, 0.0, 34.0, 26.0],  # all of it
        [0, 12.0, 7.0, 12.4, 7.3],  # less than a pixel
        [0, 8.0, 8.0, 8.0, 8.0],  # empty
        [1, 8.0, 8.0, 30.0, 8.0],  # a line
        [0, -9.0, -5.0, 12.0, 11.0],  # half outside
        [1, 25.0, 20.0, 60.0, 41.0],
        [1, -70.0, -70.0, 90.0, 90.0],  # outside on all sides
        [0, 200.0, 3.0, 240.0, 9.0],  # far away
    ]
    rois = torch.tensor(boxes)
    grad = torch.randn(len(boxes), 3, 7, 5, generator=generator)
    for ratio in (0, 2):
        for aligned in (True, False):
            maps.grad = None
            pooled = roi_align(maps.requires_grad_(), rois, (7, 5), 0.5, ratio, "avg", aligned)
            pooled.backward(grad)
            args = {"maps": maps.detach(), "rois": rois, "grad": grad, "ratio": ratio, "aligned": aligned}
            case = f"roi_align/ratio {ratio}, aligned {aligned}"
            store(case, **args, POOLED=pooled.detach(), GRAD=maps.grad)


if __name__ == "__main__":
    store_nms()
    store_soft_nms()
    store_roi_align()
    np.savez_compressed(Path(__file__).with_name("mmcv_ops.npz"), **stored)
