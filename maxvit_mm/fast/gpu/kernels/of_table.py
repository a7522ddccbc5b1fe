"""The gradient of the bias' table: summed over groups in registers, then along diagonals, in a fixed order.

Queries and keys come in boxes of `LANES // COLUMNS` rows and `COLUMNS` columns. Between two boxes the bias
depends on how far apart they lie, not on where. So what is written is the gradient of `[LANES, LANES]`
pairs of lanes for each distance of boxes, never one of all pairs of tokens.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .groups import LOG2E, SCALE, SIZES, D, bias_between, extent_of, load, tokens_of


@triton.jit(do_not_specialize=SIZES)
def of_bias(
    qkv, table, lse, delta, of_out, partial,
    groups, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q, heads,
    COLUMNS: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The gradient of the bias between boxes, [splits, heads, distances, LANES, LANES], in large groups.

    A program has a distance of boxes, a head, and a split of the groups.
    """
    ROWS: tl.constexpr = LANES // COLUMNS
    boxes_y = tl.cdiv(p, ROWS)
    boxes_x = tl.cdiv(q, COLUMNS)
    dy = tl.program_id(0) // (2 * boxes_x - 1) - boxes_y + 1
    dx = tl.program_id(0) % (2 * boxes_x - 1) - boxes_x + 1
    head = tl.program_id(1)
    lane = tl.arange(0, LANES)
    table += head * ((2 * p - 1) * (2 * q - 1))
    bias = bias_between(table, lane, dy * ROWS, dx * COLUMNS, p, q, COLUMNS)
    total = tl.zeros([LANES, LANES], tl.float32)
    for group in range(tl.program_id(2), groups, tl.num_programs(2)):
        rows, columns = extent_of(
            group, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q
        )
        down = tl.cdiv(rows, ROWS)
        across = tl.cdiv(columns, COLUMNS)
        for i in range(tl.maximum(0, -dy), tl.minimum(down, down - dy)):
            for j in range(tl.maximum(0, -dx), tl.minimum(across, across - dx)):
                token, there = tokens_of(
                    group, i * ROWS + lane // COLUMNS, j * COLUMNS + lane % COLUMNS,
                    groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q,
                )  # fmt: skip
                key, known = tokens_of(
                    group, (i + dy) * ROWS + lane // COLUMNS, (j + dx) * COLUMNS + lane % COLUMNS,
                    groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q,
                )  # fmt: skip
                queries = load(qkv + head * D, token, there, 3 * heads * D)
                gradient = load(of_out + head * D, token, there, heads * D)
                keys = load(qkv + (heads + head) * D, key, known, 3 * heads * D)
                values = load(qkv + (2 * heads + head) * D, key, known, 3 * heads * D)
                log_sum = tl.load(lse + token * heads + head, mask=there, other=float("inf"))
                dot = tl.load(delta + token * heads + head, mask=there, other=0.0)
                logits = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * SCALE + bias
                logits = tl.where(known[None, :], logits, float("-inf"))
                weights = tl.exp2(logits * LOG2E - log_sum[:, None])
                of_weights = tl.dot(gradient, tl.trans(values), input_precision=PRECISION)
                total += weights * (of_weights - dot[:, None])
    program = (tl.program_id(2) * heads + head).to(tl.int64) * tl.num_programs(0) + tl.program_id(0)
    at = partial + program * (LANES * LANES) + lane[:, None] * LANES + lane[None, :]
    tl.store(at, total)


@triton.jit(do_not_specialize=("p", "q"))
def of_table(
    of_bias, out, p, q, COLUMNS: tl.constexpr, LANES: tl.constexpr, ENTRIES: tl.constexpr
):  # fmt: skip
    """Some entries of a row of the table: sums over the pairs of lanes that read each, at most one a query.

    Args:
        of_bias: [heads, distances, LANES, LANES].
        out: [heads, 2 * p - 1, 2 * q - 1].
    """
    ROWS: tl.constexpr = LANES // COLUMNS
    boxes_y = tl.cdiv(p, ROWS)
    boxes_x = tl.cdiv(q, COLUMNS)
    row = tl.program_id(0)
    entry = tl.program_id(1) * ENTRIES + tl.arange(0, ENTRIES)
    head = tl.program_id(2)
    lane = tl.arange(0, LANES)
    # Where the key is, counted from the first of the query's box; made positive, for division to round down.
    y = lane // COLUMNS + row - (p - 1) + boxes_y * ROWS
    x = (lane % COLUMNS)[None, :] + entry[:, None] - (q - 1) + boxes_x * COLUMNS
    dy = (y // ROWS - 1)[None, :]  # of the boxes, counted from the least
    dx = x // COLUMNS - 1
    known = (dy >= 0) & (dy < 2 * boxes_y - 1) & (dx >= 0) & (dx < 2 * boxes_x - 1)
    distance = dy * (2 * boxes_x - 1) + dx
    key = (y % ROWS)[None, :] * COLUMNS + x % COLUMNS
    of_bias += head.to(tl.int64) * (2 * boxes_y - 1) * (2 * boxes_x - 1) * (LANES * LANES)
    at = of_bias + distance * (LANES * LANES) + lane[None, :] * LANES + key
    total = tl.sum(tl.load(at, mask=known, other=0.0), 1)
    out += (head * (2 * p - 1) + row) * (2 * q - 1)
    tl.store(out + entry, total, mask=entry < 2 * q - 1)
