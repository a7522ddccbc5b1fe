"""BatchNorm behind a product, `z = n @ weight.T`, without a pass over `z`, the widest map of a block.

Of `n`, which is a quarter as wide or less, the *scatter matrix* is taken, `S = sum (n - mean) (n - mean)'`.
What the statistics of `z` are follows from it: its mean is `weight @ mean`, and the sum of its squared
distances from that the diagonal of `weight @ S @ weight.T`. On the way back the norm adds to each gradient
so much by the value of `z`, and so much: these are linear in `n` as well, and go into the products that the
gradient is in anyway.

`n` is [tokens, channels] in memory, `weight` is [outputs, channels], in the precision of `n`.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .statistics import numbers

EXACT = tl.constexpr("tf32x3")  # products of what is in fp32, as exact as it is


@triton.jit
def pivots(n, c, tokens, channels, TOKENS: tl.constexpr):
    """Of channels, near their means: those of the first tokens, as one alone may be far from the others."""
    token = tl.arange(0, TOKENS)[:, None]
    there = (token < tokens) & (c < channels)[None, :]
    first = tl.load(n + token * channels + c[None, :], mask=there, other=0.0).to(tl.float32)
    return tl.sum(first, 0) / tl.minimum(tokens, TOKENS)


@triton.jit(do_not_specialize=("tokens", "share"))
def scatter(
    n, sums, tokens, share, channels, PRECISION: tl.constexpr, TOKENS: tl.constexpr, TILE: tl.constexpr
):  # fmt: skip
    """A tile of a share's sums of distances from a pivot: of their products, and of themselves.

    sums: [shares, channels + 2, channels] in fp32: in the last rows of distances as they are multiplied, and
        as they are.
    """
    tiles = tl.cdiv(channels, TILE)
    tile = tl.program_id(0) % (tiles * tiles)
    number = tl.program_id(0) // (tiles * tiles)
    row = tile // tiles * TILE + tl.arange(0, TILE)
    column = tile % tiles * TILE + tl.arange(0, TILE)
    known = column < channels
    pivot_of_rows = pivots(n, row, tokens, channels, TOKENS)
    pivot = pivots(n, column, tokens, channels, TOKENS)
    start = number.to(tl.int64) * share
    stop = tl.minimum(start + share, tokens)
    products = tl.zeros((TILE, TILE), tl.float32)
    total = tl.zeros((TOKENS, TILE), tl.float32)
    exact = tl.zeros((TOKENS, TILE), tl.float32)
    for first in range(start, stop, TOKENS):
        token = (first + tl.arange(0, TOKENS).to(tl.int64))[:, None]
        there = (token < stop) & (row < channels)[None, :]
        a = tl.load(n + token * channels + row[None, :], mask=there, other=0.0).to(tl.float32)
        a = tl.where(there, a - pivot_of_rows[None, :], 0.0)
        there = (token < stop) & known[None, :]
        b = tl.load(n + token * channels + column[None, :], mask=there, other=0.0).to(tl.float32)
        b = tl.where(there, b - pivot[None, :], 0.0)
        exact += b
        b = b.to(n.dtype.element_ty)
        total += b.to(tl.float32)
        products = tl.dot(tl.trans(a.to(n.dtype.element_ty)), b, products, input_precision=PRECISION)
    sums += number.to(tl.int64) * (channels + 2) * channels
    there = (row < channels)[:, None] & known[None, :]
    tl.store(sums + row[:, None] * channels + column[None, :], products, mask=there)
    if tile // tiles == 0:
        at = sums + channels * channels + column
        tl.store(at, tl.sum(total, 0), mask=known)
        tl.store(at + channels, tl.sum(exact, 0), mask=known)


@triton.jit(do_not_specialize=("values",))
def statistics(
    sums, n, weight, by_scatter, mean, found, values, channels, outputs,
    TOKENS: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """From the sums of `scatter`, of all shares, to partial statistics of some channels of `z`.

    Args:
        values: the number of tokens, in fp32.
        by_scatter: [outputs, channels], `weight @ S`.
        mean: [channels], of `n`.
        found: [3, outputs], a row of partial statistics.
    """
    output = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    known = output < outputs
    mean_of_z = tl.zeros((ROWS,), tl.float32)
    squares = tl.zeros((ROWS,), tl.float32)
    for first in range(0, channels, TILE):
        column = first + tl.arange(0, TILE)
        distance = numbers(sums + channels * channels, column, column < channels) / values
        mean_of_n = numbers(sums + (channels + 1) * channels, column, column < channels) / values
        mean_of_n += pivots(n, column, values, channels, TOKENS)
        part = tl.zeros((ROWS, TILE), tl.float32)
        for start in range(0, channels, TILE):
            row = start + tl.arange(0, TILE)
            other = numbers(sums + channels * channels, row, row < channels) / values
            there = (row < channels)[:, None] & (column < channels)[None, :]
            s = tl.load(sums + row[:, None] * channels + column[None, :], mask=there, other=0.0)
            s -= other[:, None] * distance[None, :] * values
            there = known[:, None] & (row < channels)[None, :]
            w = tl.load(weight + output[:, None] * channels + row[None, :], mask=there, other=0.0)
            part = tl.dot(w.to(tl.float32), s, part, input_precision=EXACT)
        there = known[:, None] & (column < channels)[None, :]
        at = output[:, None] * channels + column[None, :]
        tl.store(by_scatter + at, part, mask=there)
        w = tl.load(weight + at, mask=there, other=0.0).to(tl.float32)
        squares += tl.sum(w * part, 1)
        mean_of_z += tl.sum(w * mean_of_n[None, :], 1)
        if tl.program_id(0) == 0:
            tl.store(mean + column, mean_of_n, mask=column < channels)
    tl.store(found + output, tl.zeros((ROWS,), tl.float32) + values, mask=known)
    tl.store(found + outputs + output, mean_of_z, mask=known)
    tl.store(found + 2 * outputs + output, tl.maximum(squares, 0.0), mask=known)


@triton.jit(do_not_specialize=("values",))
def back(
    weight, scale, per_z, per_one, of_bias, mean, scaled, through, constants, values, channels, outputs,
    OF_BATCH: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """What the gradient of `n` is computed by: `g @ scaled + n @ through + constants.sum(0)`.

    With `g` the gradient of what the norm returned, that of `z` is `scale * g + per_z * z + per_one`. Its
    means are to cancel: what is lost where `scaled` and `through` are rounded is made good in the constants.

    Args:
        of_bias: [outputs], the sums of `g` over all tokens, of which there are `values`, in fp32.
        mean: [channels], of `n`.
        scaled: [outputs, channels], the weight by `scale`.
        through: [channels, channels], `weight.T @ diag(per_z) @ weight`, and constants: [tiles, channels] in
            fp32, `per_one @ weight`; neither is written unless the statistics are `OF_BATCH`.
    """
    tiles = tl.cdiv(channels, TILE)
    row = tl.program_id(0) // tiles * TILE + tl.arange(0, TILE)
    column = tl.program_id(0) % tiles * TILE + tl.arange(0, TILE)
    known = column < channels
    products = tl.zeros((TILE, TILE), tl.float32)
    total = tl.zeros((ROWS, TILE), tl.float32)
    for first in range(0, outputs, ROWS):
        output = first + tl.arange(0, ROWS)
        there = (output < outputs)[:, None] & known[None, :]
        at = output[:, None] * channels
        w = tl.load(weight + at + column[None, :], mask=there, other=0.0).to(tl.float32)
        if tl.program_id(0) < tiles:
            exact = w * numbers(scale, output, output < outputs)[:, None]
            rounded = exact.to(scaled.dtype.element_ty)
            tl.store(scaled + at + column[None, :], rounded, mask=there)
            if OF_BATCH:
                lost = exact - rounded.to(tl.float32)
                total += lost * (numbers(of_bias, output, output < outputs) / values)[:, None]
                total += w * numbers(per_one, output, output < outputs)[:, None]
        if OF_BATCH:
            w *= numbers(per_z, output, output < outputs)[:, None]
            there = (output < outputs)[:, None] & (row < channels)[None, :]
            of_rows = tl.load(weight + at + row[None, :], mask=there, other=0.0).to(tl.float32)
            products = tl.dot(tl.trans(of_rows), w, products, input_precision=EXACT)
    if OF_BATCH:
        there = (row < channels)[:, None] & known[None, :]
        rounded = products.to(through.dtype.element_ty)
        tl.store(through + row[:, None] * channels + column[None, :], rounded, mask=there)
        lost = (products - rounded.to(tl.float32)) * numbers(mean, row, row < channels)[:, None]
        constants += tl.program_id(0) // tiles * channels
        tl.store(constants + column, tl.sum(total, 0) + tl.sum(lost, 0), mask=known)


@triton.jit(do_not_specialize=("tokens",))
def of_n(
    product, n, through, constant, out, tokens, channels,
    PRECISION: tl.constexpr, TOKENS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """`product + n @ through + constant`, of which the first is in fp32, rounded once. [tokens, channels]."""
    tiles = tl.cdiv(channels, TILE)
    column = tl.program_id(0) % tiles * TILE + tl.arange(0, TILE)
    known = column < channels
    token = ((tl.program_id(0) // tiles).to(tl.int64) * TOKENS + tl.arange(0, TOKENS))[:, None]
    at = token * channels + column[None, :]
    there = (token < tokens) & known[None, :]
    total = tl.load(product + at, mask=there, other=0.0) + numbers(constant, column, known)[None, :]
    for first in range(0, channels, TILE):
        row = first + tl.arange(0, TILE)
        within = (token < tokens) & (row < channels)[None, :]
        a = tl.load(n + token * channels + row[None, :], mask=within, other=0.0)
        within = (row < channels)[:, None] & known[None, :]
        k = tl.load(through + row[:, None] * channels + column[None, :], mask=within, other=0.0)
        total = tl.dot(a, k, total, input_precision=PRECISION)
    tl.store(out + at, total.to(out.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=("values",))
def of_weight(
    product, by_scatter, mean, found, scale, per_z, per_one, values, channels, outputs,
    OF_BATCH: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """`product`, [outputs, channels] in fp32 and `g.T @ n`, becomes the gradient of the weight, in place."""
    tiles = tl.cdiv(channels, TILE)
    output = tl.program_id(0) // tiles * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(0) % tiles * TILE + tl.arange(0, TILE)
    known = output < outputs
    there = known[:, None] & (column < channels)[None, :]
    at = output[:, None] * channels + column[None, :]
    gradient = tl.load(product + at, mask=there, other=0.0) * numbers(scale, output, known)[:, None]
    if OF_BATCH:
        by_z = numbers(per_z, output, known)
        by_mean = values * (by_z * numbers(found + outputs, output, known) + numbers(per_one, output, known))
        gradient += by_z[:, None] * tl.load(by_scatter + at, mask=there, other=0.0)
        gradient += by_mean[:, None] * numbers(mean, column, column < channels)[None, :]
    tl.store(product + at, gradient, mask=there)
