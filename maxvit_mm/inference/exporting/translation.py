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

FLOAT, BOOL, INT64 = onnxscript.FLOAT.dtype, onnxscript.BOOL.dtype, onnxscript.INT64.dtype
CORNER = {True: "half_pixel", False: "output_half_pixel"}  # ONNX's names for mmcv's `aligned`


def ints(*values: int) -> Any:
    return op.Constant(value_ints=list(values))


def scalar(value: int) -> Any:
    return op.Constant(value_int=value)


def number(value: float) -> Any:
    return op.Constant(value_floats=[float(value)])


def axis(x: Any, which: int) -> Any:
    return op.Shape(x, start=which, end=which + 1)


def length(size: Any) -> Any:
    """A length as a tensor [1]: a number, or the graph's own where it follows the size of the image."""
    if isinstance(size, int):
        return ints(size)
    found: Any = op.Cast(size, to=INT64)
    return op.Reshape(found, ints(1))


def groups_along(x: Any, which: int, size: Any) -> tuple[Any, Any]:
    """How many rows fill an axis up to whole groups, and how many groups there are then."""
    rows = axis(x, which)
    missing = op.Mod(op.Neg(rows), size)
    return missing, op.Div(op.Add(rows, missing), size)


def cut(x: Any, grid: bool, h: Any, w: Any) -> tuple[Any, Any]:
    """See `network.places.cut`."""
    h, w = length(h), length(w)
    tokens = op.Mul(h, w)
    (below, i), (beside, j) = groups_along(x, 1, h), groups_along(x, 2, w)
    pads = op.Concat(ints(0, 0, 0, 0, 0), below, beside, ints(0), axis=0)
    # b, then the map's two axes as groups and members, in the order of the kind of partition
    split = [h, i, w, j] if grid else [i, h, j, w]
    to_groups = [0, 2, 4, 1, 3, 5] if grid else [0, 1, 3, 2, 4, 5]

    def groups(each: Any, *shape: Any) -> Any:
        parts = op.Reshape(op.Pad(each, pads), op.Concat(axis(x, 0), *split, ints(-1), axis=0))
        return op.Reshape(op.Transpose(parts, perm=to_groups), op.Concat(*shape, axis=0))

    one: Any = op.Constant(value_float=1.0)
    ones = op.Expand(one, op.Concat(op.Shape(x, end=3), ints(1), axis=0))
    there = op.Cast(groups(ones, ints(-1), tokens), to=BOOL)
    return groups(x, ints(-1), tokens, axis(x, 3)), there


def join(groups: Any, x: Any, grid: bool, h: Any, w: Any) -> Any:
    """See `network.places.join`."""
    h, w = length(h), length(w)
    (below, i), (beside, j) = groups_along(x, 1, h), groups_along(x, 2, w)
    parts = op.Reshape(groups, op.Concat(axis(x, 0), i, j, h, w, ints(-1), axis=0))
    parts = op.Transpose(parts, perm=[0, 3, 1, 4, 2, 5] if grid else [0, 1, 3, 2, 4, 5])
    rows, columns = op.Add(axis(x, 1), below), op.Add(axis(x, 2), beside)
    whole = op.Reshape(parts, op.Concat(axis(x, 0), rows, columns, ints(-1), axis=0))
    return op.Slice(whole, ints(0, 0), op.Shape(x, start=1, end=3), ints(1, 2))


def bias(table: Any, h: Any, w: Any) -> Any:
    """See `network.places.bias`."""
    h, w = length(h), length(w)
    one, two = ints(1), ints(2)
    size = op.Concat(one, axis(table, 0), *(op.Sub(op.Mul(two, each), one) for each in (h, w)), axis=0)
    table = op.Cast(table, to=FLOAT)
    table = op.Unsqueeze(table, ints(0))
    table = op.Resize(
        table, None, None, size, mode="linear", coordinate_transformation_mode="pytorch_half_pixel"
    )

    def offsets(size: Any) -> Any:
        """Of each key to each query along an axis, counted from the table's first row: [size, size]."""
        along = op.Range(scalar(0), op.Squeeze(size), scalar(1))
        return op.Add(op.Sub(op.Unsqueeze(along, ints(0)), op.Unsqueeze(along, ints(1))), op.Sub(size, one))

    pairs = op.Gather(op.Gather(table, offsets(h), axis=2), offsets(w), axis=4)  # 1, heads, y, v, x, u
    pairs = op.Transpose(pairs, perm=[0, 1, 2, 4, 3, 5])
    tokens = op.Mul(h, w)
    return op.Reshape(pairs, op.Concat(axis(pairs, 1), tokens, tokens, axis=0))


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
    OURS.bias.default: bias,
    OURS.nms.default: nms,
    OURS.roi_align.default: roi_align,
}
