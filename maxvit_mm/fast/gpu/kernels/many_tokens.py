"""Attention in groups of more tokens than a tile holds: some keys after others, with a running softmax.

A program owns some tokens of a group, counted without gaps, and goes over all of them a box of lanes at a
time: see `groups`. `lse`, to the base of 2 the logarithm of the softmax's sum, is kept for the backward
pass, in fp32 for each token and head. That pass computes the weights again from it, once by queries and
once by keys, so that each gradient is summed by one program, always in the same order.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .groups import LOG2E, SCALE, SIZES, D, extent_of, load, store, tokens_of


@triton.jit
def owned(start, q, COUNT: tl.constexpr):
    """Ranks of the tokens from `start` on; those that no group has are in the rows behind the last."""
    token = start + tl.arange(0, COUNT)
    return token // q, token % q


@triton.jit
def place_of(y, x, q):
    """Where the table has a key of ranks `y`, `x`, counted from that of rank 0, 0."""
    return y * (2 * q - 1) + x


@triton.jit
def owned_place(y, x, p, q):
    """The same of owned tokens. Those that no group has are to read something that is there."""
    return place_of(tl.minimum(y, p - 1), x, q)


@triton.jit(do_not_specialize=SIZES)
def forward(
    qkv, table, out, lse,
    groups, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q, heads,
    OWNED: tl.constexpr, COLUMNS: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    parts = tl.cdiv(p * q, OWNED)
    group = tl.program_id(0) // parts
    start = tl.program_id(0) % parts * OWNED
    head = tl.program_id(1)
    rows, columns = extent_of(
        group, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q
    )
    if start < rows * q:
        of_q = qkv + head * D
        of_k = of_q + heads * D
        of_v = of_k + heads * D
        y, x = owned(start, q, OWNED)
        token, there = tokens_of(
            group, y, x, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q
        )
        queries = load(of_q, token, there, 3 * heads * D)
        lane = tl.arange(0, LANES)
        # From the first key of a box to the table's entry of each pair: only where the box begins changes.
        table += head * ((2 * p - 1) * (2 * q - 1)) + place_of(p - 1, q - 1, q)
        apart = place_of(lane // COLUMNS, lane % COLUMNS, q)[None, :] - owned_place(y, x, p, q)[:, None]
        largest = tl.full([OWNED], float("-inf"), tl.float32)
        total = tl.zeros([OWNED], tl.float32)
        mixed = tl.zeros([OWNED, D], tl.float32)
        for row in range(0, rows, LANES // COLUMNS):
            for column in range(0, columns, COLUMNS):
                key, known = tokens_of(
                    group, row + lane // COLUMNS, column + lane % COLUMNS,
                    groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q,
                )  # fmt: skip
                bias = tl.load(
                    table + (place_of(row, column, q) + apart), mask=known[None, :], other=float("-inf")
                )
                keys = load(of_k, key, known, 3 * heads * D)
                values = load(of_v, key, known, 3 * heads * D)
                logits = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * SCALE + bias
                # finite from the first box on, which has a token
                above = tl.maximum(largest, tl.max(logits, 1))
                weights = tl.exp2((logits - above[:, None]) * LOG2E)
                fade = tl.exp2((largest - above) * LOG2E)
                total = total * fade + tl.sum(weights, 1)
                mixed = mixed * fade[:, None]
                mixed = tl.dot(weights.to(values.dtype), values, mixed, input_precision=PRECISION)
                largest = above
        store(out + head * D, token, there, heads * D, mixed * (1.0 / total)[:, None])
        tl.store(lse + token * heads + head, largest * LOG2E + tl.log2(total), mask=there)


@triton.jit(do_not_specialize=SIZES)
def backward_of_queries(
    qkv, table, out, lse, of_out, of_qkv, delta,
    groups, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q, heads,
    OWNED: tl.constexpr, COLUMNS: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The gradient of q; and `delta`, the sum of `out * of_out` of each token and head, for the others."""
    parts = tl.cdiv(p * q, OWNED)
    group = tl.program_id(0) // parts
    start = tl.program_id(0) % parts * OWNED
    head = tl.program_id(1)
    rows, columns = extent_of(
        group, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q
    )
    if start < rows * q:
        of_q = qkv + head * D
        of_k = of_q + heads * D
        of_v = of_k + heads * D
        y, x = owned(start, q, OWNED)
        token, there = tokens_of(
            group, y, x, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q
        )
        queries = load(of_q, token, there, 3 * heads * D)
        gradient = load(of_out + head * D, token, there, heads * D)
        mixed = load(out + head * D, token, there, heads * D)
        dot = tl.sum(gradient.to(tl.float32) * mixed.to(tl.float32), 1)
        tl.store(delta + token * heads + head, dot, mask=there)
        log_sum = tl.load(lse + token * heads + head, mask=there, other=float("inf"))
        lane = tl.arange(0, LANES)
        table += head * ((2 * p - 1) * (2 * q - 1)) + place_of(p - 1, q - 1, q)
        apart = place_of(lane // COLUMNS, lane % COLUMNS, q)[None, :] - owned_place(y, x, p, q)[:, None]
        of_queries = tl.zeros([OWNED, D], tl.float32)
        for row in range(0, rows, LANES // COLUMNS):
            for column in range(0, columns, COLUMNS):
                key, known = tokens_of(
                    group, row + lane // COLUMNS, column + lane % COLUMNS,
                    groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q,
                )  # fmt: skip
                bias = tl.load(
                    table + (place_of(row, column, q) + apart), mask=known[None, :], other=float("-inf")
                )
                keys = load(of_k, key, known, 3 * heads * D)
                values = load(of_v, key, known, 3 * heads * D)
                logits = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * SCALE + bias
                weights = tl.exp2(logits * LOG2E - log_sum[:, None])
                of_weights = tl.dot(gradient, tl.trans(values), input_precision=PRECISION)
                of_logits = (weights * (of_weights - dot[:, None])).to(keys.dtype)
                of_queries = tl.dot(of_logits, keys, of_queries, input_precision=PRECISION)
        store(of_qkv + head * D, token, there, 3 * heads * D, of_queries * SCALE)


@triton.jit(do_not_specialize=SIZES)
def backward_of_keys(
    qkv, table, lse, delta, of_out, of_qkv,
    groups, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q, heads,
    OWNED: tl.constexpr, COLUMNS: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The gradients of k and v. Tiles are [keys, queries], so that no product is of a transpose."""
    parts = tl.cdiv(p * q, OWNED)
    group = tl.program_id(0) // parts
    start = tl.program_id(0) % parts * OWNED
    head = tl.program_id(1)
    rows, columns = extent_of(
        group, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q
    )
    if start < rows * q:
        y, x = owned(start, q, OWNED)
        key, known = tokens_of(
            group, y, x, groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q
        )
        keys = load(qkv + (heads + head) * D, key, known, 3 * heads * D)
        values = load(qkv + (2 * heads + head) * D, key, known, 3 * heads * D)
        lane = tl.arange(0, LANES)
        table += head * ((2 * p - 1) * (2 * q - 1)) + place_of(p - 1, q - 1, q)
        apart = owned_place(y, x, p, q)[:, None] - place_of(lane // COLUMNS, lane % COLUMNS, q)[None, :]
        of_keys = tl.zeros([OWNED, D], tl.float32)
        of_values = tl.zeros([OWNED, D], tl.float32)
        for row in range(0, rows, LANES // COLUMNS):
            for column in range(0, columns, COLUMNS):
                token, there = tokens_of(
                    group, row + lane // COLUMNS, column + lane % COLUMNS,
                    groups_y, groups_x, height, width, to_group_y, to_rank_y, to_group_x, to_rank_x, p, q,
                )  # fmt: skip
                bias = tl.load(
                    table + (apart - place_of(row, column, q)), mask=there[None, :], other=float("-inf")
                )
                queries = load(qkv + head * D, token, there, 3 * heads * D)
                gradient = load(of_out + head * D, token, there, heads * D)
                log_sum = tl.load(lse + token * heads + head, mask=there, other=float("inf"))
                dot = tl.load(delta + token * heads + head, mask=there, other=0.0)
                logits = tl.dot(keys, tl.trans(queries), input_precision=PRECISION) * SCALE + bias
                # rows of keys that are not there come out as something, and are not written
                weights = tl.exp2(logits * LOG2E - log_sum[None, :])
                of_values = tl.dot(weights.to(gradient.dtype), gradient, of_values, input_precision=PRECISION)
                of_weights = tl.dot(values, tl.trans(gradient), input_precision=PRECISION)
                of_logits = (weights * (of_weights - dot[None, :])).to(queries.dtype)
                of_keys = tl.dot(of_logits, queries, of_keys, input_precision=PRECISION)
        store(of_qkv + (heads + head) * D, key, known, 3 * heads * D, of_keys * SCALE)
        store(of_qkv + (2 * heads + head) * D, key, known, 3 * heads * D, of_values)
