"""Where the tokens of a group lie in a map, and what their places relative to each other add.

Along an axis of n rows there are `ceil(n / P)` groups of a partition of size P. The token of rank r in group
i lies in row `i * to_group + r * to_rank`: in a block's windows these steps are P and 1, in a grid 1 and the
number of groups. Rows from n on do not exist: they are not read, not attended to and not written. So one
kernel serves both kinds of partition and maps of any size; every size is an argument, none a constant.

Tokens of a group that go through a kernel together fill *lanes*, row by row of a box of `COLUMNS` columns, a
power of two, so that nothing is divided on the way. Lanes without a token are left out.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ....network.variants import HEAD_WIDTH

D = tl.constexpr(HEAD_WIDTH)
SCALE = tl.constexpr(HEAD_WIDTH**-0.5)
LOG2E = tl.constexpr(1.4426950408889634)
# Arguments of every kernel: of the partition, down and across, and of the layer. Triton compiles for none of
# their values.
SIZES = (
    *("groups", "groups_y", "groups_x", "height", "width"),
    *("to_group_y", "to_rank_y", "to_group_x", "to_rank_x", "p", "q", "heads"),
)


@triton.jit
def tokens_of(
    group, y, x, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q
):  # fmt: skip
    """The tokens of ranks `y`, `x` in a group: their places among all tokens, and whether they are there."""
    row = (group // groups_x) % groups_y * to_group_y + y * to_rank_y
    column = group % groups_x * to_group_x + x * to_rank_x
    image = (group // groups_x // groups_y).to(tl.int64)
    there = (y < p) & (x < q) & (row < height) & (column < width)
    return (image * height + row) * width + column, there


@triton.jit
def extent_of(group, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q):
    """The rows and columns of a group."""
    rows = tl.cdiv(height - (group // groups_x) % groups_y * to_group_y, to_rank_y)
    columns = tl.cdiv(width - group % groups_x * to_group_x, to_rank_x)
    return tl.minimum(rows, p), tl.minimum(columns, q)


@triton.jit
def load(pointer, token, there, channels):
    """[tokens, D], of a map of so many channels, from the one that `pointer` points at; 0 where none is."""
    at = pointer + (token * channels)[:, None] + tl.arange(0, D)[None, :]
    return tl.load(at, mask=there[:, None], other=0.0)


@triton.jit
def store(pointer, token, there, channels, value):
    """The same, written."""
    at = pointer + (token * channels)[:, None] + tl.arange(0, D)[None, :]
    tl.store(at, value.to(pointer.dtype.element_ty), mask=there[:, None])


@triton.jit
def bias_between(table, lane, dy, dx, p, q, COLUMNS: tl.constexpr):
    """[queries, keys]: `table[key - query]` for the lanes of a box of queries and one of keys.

    The keys' box begins `dy` rows and `dx` columns behind the queries'. 0 for pairs that no group has.
    """
    y = (lane // COLUMNS)[None, :] - (lane // COLUMNS)[:, None] + dy + p - 1
    x = (lane % COLUMNS)[None, :] - (lane % COLUMNS)[:, None] + dx + q - 1
    known = (y >= 0) & (y < 2 * p - 1) & (x >= 0) & (x < 2 * q - 1)
    return tl.load(table + y * (2 * q - 1) + x, mask=known, other=0.0)
