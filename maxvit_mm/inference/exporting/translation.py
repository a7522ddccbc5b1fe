"""Our operators in ONNX: each function takes an operator's arguments and writes its nodes.

Without onnxscript this module cannot be imported; see `libraries.need`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnxscript
import torch
from onnxscript import opset18 as op

from ...network import places  # noqa: F401  (registers what is translated)
from . import operators

FLOAT, BOOL = onnxscript.FLOAT.dtype, onnxscript.BOOL.dtype
CORNER = {True: "half_pixel", False: "output_half_pixel"}  # ONNX's names for mmcv's `aligned`


def ints(*values: int) -> Any:
    return op.Constant(value_ints=list(values))


def number(value: float) -> Any:
    return op.Constant(value_floats=[float(value)])


def axis(x: Any, which: int) -> Any:
    return op.Shape(x, start=which, end=which + 1)


def groups_along(x: Any, which: int, size: int) -> tuple[Any, Any]:
    """How many rows fill an axis up to whole groups, and how many groups there are then."""
    length = axis(x, which)
    missing = op.Mod(op.Neg(length), ints(size))
    return missing, op.Div(op.Add(length, missing), ints(size))


def cut(x: Any, grid: bool, h: int, w: int) -> tuple[Any, Any]:
    """See `network.places.cut`."""
    (below, i), (beside, j) = groups_along(x, 1, h), groups_along(x, 2, w)
    pads = op.Concat(ints(0, 0, 0, 0, 0), below, beside, ints(0), axis=0)
    # b, then the map's two axes as groups and members, in the order of the kind of partition
    split = [ints(h), i, ints(w), j] if grid else [i, ints(h), j, ints(w)]
    to_groups = [0, 2, 4, 1, 3, 5] if grid else [0, 1, 3, 2, 4, 5]

    def groups(each: Any, *shape: Any) -> Any:
        parts = op.Reshape(op.Pad(each, pads), op.Concat(axis(x, 0), *split, ints(-1), axis=0))
        return op.Reshape(op.Transpose(parts, perm=to_groups), op.Concat(*shape, axis=0))

    one: Any = op.Constant(value_float=1.0)
    ones = op.Expand(one, op.Concat(op.Shape(x, end=3), ints(1), axis=0))
    there = op.Cast(groups(ones, ints(-1, h * w)), to=BOOL)
    return groups(x, ints(-1, h * w), axis(x, 3)), there


def join(groups: Any, x: Any, grid: bool, h: int, w: int) -> Any:
    """See `network.places.join`."""
    (below, i), (beside, j) = groups_along(x, 1, h), groups_along(x, 2, w)
    parts = op.Reshape(groups, op.Concat(axis(x, 0), i, j, ints(h, w, -1), axis=0))
    parts = op.Transpose(parts, perm=[0, 3, 1, 4, 2, 5] if grid else [0, 1, 3, 2, 4, 5])
    rows, columns = op.Add(axis(x, 1), below), op.Add(axis(x, 2), beside)
    whole = op.Reshape(parts, op.Concat(axis(x, 0), rows, columns, ints(-1), axis=0))
    return op.Slice(whole, ints(0, 0), op.Shape(x, start=1, end=3), ints(1, 2))


def nms(boxes: Any, scores: Any, iou_threshold: float, most: int) -> Any:
    """See `operators.nms`."""
    return op.NonMaxSuppression(boxes, scores, ints(most), number(iou_threshold), number(operators.LOWEST))


def roi_align(
    features: Any, rois: Any, image: Any, height: int, width: int, scale: float, ratio: int, aligned: bool
) -> Any:
    """See `operators.roi_align`."""
    return op.RoiAlign(
        features,
        rois,
        image,
        coordinate_transformation_mode=CORNER[aligned],
        mode="avg",
        output_height=height,
        output_width=width,
        sampling_ratio=ratio,
        spatial_scale=scale,
    )


OURS = torch.ops.maxvit_mm
TABLE: dict[Any, Callable[..., Any]] = {
    OURS.cut.default: cut,
    OURS.join.default: join,
    OURS.nms.default: nms,
    OURS.roi_align.default: roi_align,
}
