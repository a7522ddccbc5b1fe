"""Offset table <-> bias: what attention adds for the place of a key relative to its query."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


def table_shape(partition_size: int) -> tuple[int, int]:
    """Offsets within `P x P` tokens run from `1 - P` to `P - 1`, down and across."""
    return 2 * partition_size - 1, 2 * partition_size - 1


def at_least_fp32(x: Tensor) -> Tensor:
    """`x` itself in fp32 or fp64, in fp32 where it is less precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def resize_table(table: Tensor, size: tuple[int, int]) -> Tensor:
    """Read a table for another partition size, as the official code does.

    Bilinear, `align_corners=False`, no antialiasing, in fp32 or, of a table in fp64, in that.

    Args:
        table: `[heads, 2P - 1, 2P - 1]`, axes (dy, dx).
        size: the partition size `(h, w)` to read it for.

    Returns:
        `[heads, 2h - 1, 2w - 1]`; `table` itself where it has that size already.
    """
    shape = 2 * size[0] - 1, 2 * size[1] - 1
    if table.shape[1:] == shape:
        return table
    return F.interpolate(at_least_fp32(table)[None], shape, mode="bilinear", align_corners=False)[0]


def relative_bias(table: Tensor, h: int, w: int) -> Tensor:
    """Look up the bias of every pair of tokens in a group of `h x w`, tokens row-major.

    `bias[head, query, key] = table[head, y_key - y_query + P - 1, x_key - x_query + Q - 1]`: key minus
    query. Row `y` of queries reads the `h` rows of the table from `P - 1 - y` on, which is a sliding
    window over the table: no index is built.

    Args:
        table: `[heads, 2P - 1, 2Q - 1]` for a partition of `P x Q`.
        h, w: height and width of the group, at most `P` and `Q`.

    Returns:
        `[heads, h * w, h * w]` in fp32 or fp64, queries first.
    """
    p, q = (table.shape[1] + 1) // 2, (table.shape[2] + 1) // 2
    bias = at_least_fp32(table).unfold(1, h, 1)[:, p - h : p].flip(1)  # heads, query y, dx, key y
    bias = bias.unfold(2, w, 1)[:, :, q - w : q].flip(2)  # heads, query y, query x, key y, key x
    return rearrange(bias, "heads y x v u -> heads (y x) (v u)")
