"""Attention in groups that one tile holds, 49 tokens for instance: a program takes one group after another.

It reads `q`, `k` and `v` of a group from the map `[b, height, width, 3 * heads * D]`, and writes what comes
out into the map behind: one pass over each. The backward pass reads `qkv` and the gradient, computes the
softmax again and writes the gradient of `qkv`. A program looks up the bias of its head once.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .groups import LOG2E, SCALE, SIZES, D, bias_between, load, store, tokens_of


@triton.jit
def softmax(s, there):
    """`exp` of logits [queries, keys] less the largest, and its sums; 0 for keys that are not there."""
    s = tl.where(there[None, :], s, float("-inf"))  # the first is always there
    p = tl.exp2((s - tl.max(s, 1)[:, None]) * LOG2E)
    return p, tl.sum(p, 1)


@triton.jit(do_not_specialize=SIZES)
def forward(
    qkv, table, out,
    groups, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q, heads,
    COLUMNS: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(0) % heads
    lane = tl.arange(0, LANES)
    bias = bias_between(table + head * ((2 * p - 1) * (2 * q - 1)), lane, 0, 0, p, q, COLUMNS)
    of_q = qkv + head * D
    of_k = of_q + heads * D
    of_v = of_k + heads * D
    for group in range(tl.program_id(0) // heads, groups, tl.num_programs(0) // heads):
        token, there = tokens_of(
            group, lane // COLUMNS, lane % COLUMNS,
            groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q,
        )  # fmt: skip
        queries = load(of_q, token, there, 3 * heads * D)
        keys = load(of_k, token, there, 3 * heads * D)
        values = load(of_v, token, there, 3 * heads * D)
        logits = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * SCALE + bias
        weights, total = softmax(logits, there)
        mixed = tl.dot(weights.to(values.dtype), values, input_precision=PRECISION)
        store(out + head * D, token, there, heads * D, mixed * (1.0 / total)[:, None])


@triton.jit(do_not_specialize=SIZES)
def backward(
    qkv, table, of_out, of_qkv, of_bias,
    groups, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q, heads,
    COLUMNS: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr, OF_TABLE: tl.constexpr,
):  # fmt: skip
    """The gradient of `qkv`; and of the bias between lanes, [programs, LANES, LANES], over its groups."""
    head = tl.program_id(0) % heads
    lane = tl.arange(0, LANES)
    bias = bias_between(table + head * ((2 * p - 1) * (2 * q - 1)), lane, 0, 0, p, q, COLUMNS)
    place = head * D
    channels = 3 * heads * D
    total_of_bias = tl.zeros([LANES, LANES], tl.float32)
    for group in range(tl.program_id(0) // heads, groups, tl.num_programs(0) // heads):
        token, there = tokens_of(
            group, lane // COLUMNS, lane % COLUMNS,
            groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q,
        )  # fmt: skip
        queries = load(qkv + place, token, there, channels)
        keys = load(qkv + heads * D + place, token, there, channels)
        values = load(qkv + 2 * heads * D + place, token, there, channels)
        gradient = load(of_out + place, token, there, heads * D)
        logits = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * SCALE + bias
        weights, total = softmax(logits, there)
        weights = weights * (1.0 / total)[:, None]
        of_values = tl.dot(tl.trans(weights.to(gradient.dtype)), gradient, input_precision=PRECISION)
        store(of_qkv + 2 * heads * D + place, token, there, channels, of_values)
        of_weights = tl.dot(gradient, tl.trans(values), input_precision=PRECISION)
        # 0 for a query that is not there, as its gradient is
        of_logits = weights * (of_weights - tl.sum(weights * of_weights, 1)[:, None])
        if OF_TABLE:
            total_of_bias += of_logits
        of_logits = of_logits.to(queries.dtype)
        of_queries = tl.dot(of_logits, keys, input_precision=PRECISION) * SCALE
        store(of_qkv + place, token, there, channels, of_queries)
        of_keys = tl.dot(tl.trans(of_logits), queries, input_precision=PRECISION) * SCALE
        store(of_qkv + heads * D + place, token, there, channels, of_keys)
    if OF_TABLE:
        at = of_bias + tl.program_id(0) * (LANES * LANES) + lane[:, None] * LANES + lane[None, :]
        tl.store(at, total_of_bias)
