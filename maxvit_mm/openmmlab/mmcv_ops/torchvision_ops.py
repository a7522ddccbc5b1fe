"""NMS and RoIAlign by torchvision's compiled ops, with mmcv's signatures.

`nms.py` and `roi_align.py` say what the arguments are.
"""

from __future__ import annotations

import importlib

import torch
from torch import Tensor

from .roi_align import refuse_max_pooling, single_or_better


def work() -> bool:
    """Whether torchvision is installed, with ops that load.

    Absent, or built for another torch (see `torchvision_import`), it has none; any other failure to import
    it is raised.
    """
    try:
        torchvision = importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        return False
    return torchvision.extension._has_ops()


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    boxes = boxes.float()
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], 1)
    # torchvision compares in double precision, mmcv in single: 0.6 is a little more there.
    threshold = torch.tensor(iou_threshold, dtype=torch.float32).item()
    return torch.ops.torchvision.nms(boxes, scores.float(), threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    refuse_max_pooling(pool_mode)
    maps = single_or_better(input)
    bins = (aligned_height, aligned_width)
    pool = torch.ops.torchvision.roi_align
    output.copy_(pool(maps, rois.to(maps), spatial_scale, *bins, sampling_ratio, aligned))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    refuse_max_pooling(pool_mode)
    grad = single_or_better(grad_output)
    bins = (aligned_height, aligned_width)
    grad_input += torch.ops.torchvision._roi_align_backward(
        grad, rois.to(grad), spatial_scale, *bins, *grad_input.shape, sampling_ratio, aligned
    )
