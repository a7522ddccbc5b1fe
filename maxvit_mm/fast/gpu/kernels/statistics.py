"""BatchNorm's statistics and, on the way back, what they add to gradients: small kernels around maps' passes.

Partial statistics are `[rows, 3, channels]` in fp32, of some values each: how many, their mean, and the sum
of their squared distances from it. They are put together by Chan's formula (Algorithms for computing the
sample variance, 1983), which loses nothing where the mean is far from 0, always in the same order.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def numbers(pointer, c, known):
    """Of each channel, in fp32."""
    return tl.load(pointer + c, mask=known, other=0.0).to(tl.float32)


@triton.jit
def vector(pointer, c, known):
    """The same, [1, channels]."""
    return numbers(pointer, c, known)[None, :]


@triton.jit
def of_program(channels, CHANNELS: tl.constexpr):
    """A program's channels, and its number among those that have the same.

    Along the first axis of a grid, which alone holds more than 65535.
    """
    tiles = tl.cdiv(channels, CHANNELS)
    return tl.program_id(0) % tiles * CHANNELS + tl.arange(0, CHANNELS), tl.program_id(0) // tiles


@triton.jit
def together(counts, means, squares):
    """How many values lanes have together, their mean, and the sum of their squared distances from it.

    [lanes, channels] each, [channels] out. A lane without values has a count of 0, and no say.
    """
    count = tl.sum(counts, 0)
    mean = tl.sum(counts * means, 0) / tl.maximum(count, 1.0)
    distance = means - mean[None, :]
    return count, mean, tl.sum(squares + counts * distance * distance, 0)


@triton.jit
def store_moments(found, row, c, known, channels, counts, pivots, total, squares):
    """A row of partial statistics, from sums of lanes: of distances from a pivot, and of their squares."""
    distance = total / tl.maximum(counts, 1.0)
    count, mean, spread = together(counts, pivots + distance, squares - total * distance)
    found += row.to(tl.int64) * 3 * channels + c
    tl.store(found, count, mask=known)
    tl.store(found + channels, mean, mask=known)
    tl.store(found + 2 * channels, spread, mask=known)


@triton.jit(do_not_specialize=("rows", "momentum", "eps"))
def at_statistics(
    found, running_mean, running_variance, batches, weight, bias,
    mean, variance, inverse, scale, shift, rows, momentum, eps, channels,
    OF_BATCH: tl.constexpr, COUNTS: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """A norm's numbers of each channel, in fp32: its mean, variance and inverse deviation, scale and shift.

    `OF_BATCH`, they are of the partial statistics in `found`, of which, if it `COUNTS`, the running ones take
    their share; else of the running ones.
    """
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    known = c < channels
    if OF_BATCH:
        counts = tl.zeros((ROWS, CHANNELS), tl.float32)
        means = tl.zeros((ROWS, CHANNELS), tl.float32)
        squares = tl.zeros((ROWS, CHANNELS), tl.float32)
        for first in range(0, rows, ROWS):
            row = (first + tl.arange(0, ROWS))[:, None]
            there = (row < rows) & known[None, :]
            at = found + row.to(tl.int64) * 3 * channels + c[None, :]
            count = tl.load(at, mask=there, other=0.0)
            distance = tl.load(at + channels, mask=there, other=0.0) - means
            squares += tl.load(at + 2 * channels, mask=there, other=0.0)
            share = count / tl.maximum(counts + count, 1.0)
            squares += distance * distance * counts * share
            means += distance * share
            counts += count
        count, centre, spread = together(counts, means, squares)
        variances = spread / tl.maximum(count, 1.0)
        if COUNTS:
            old = tl.load(running_mean + c, mask=known, other=0.0).to(tl.float32)
            new = old + momentum * (centre - old)
            tl.store(running_mean + c, new.to(running_mean.dtype.element_ty), mask=known)
            old = tl.load(running_variance + c, mask=known, other=0.0).to(tl.float32)
            new = old + momentum * (spread / tl.maximum(count - 1.0, 1.0) - old)
            tl.store(running_variance + c, new.to(running_variance.dtype.element_ty), mask=known)
            if tl.program_id(0) == 0:
                tl.store(batches, tl.load(batches) + 1)
    else:
        centre = tl.load(running_mean + c, mask=known, other=0.0).to(tl.float32)
        variances = tl.load(running_variance + c, mask=known, other=1.0).to(tl.float32)
    inverses = 1.0 / tl.sqrt(variances + eps)
    scales = tl.load(weight + c, mask=known, other=0.0).to(tl.float32) * inverses
    tl.store(mean + c, centre, mask=known)
    tl.store(variance + c, variances, mask=known)
    tl.store(inverse + c, inverses, mask=known)
    tl.store(scale + c, scales, mask=known)
    shifts = tl.load(bias + c, mask=known, other=0.0).to(tl.float32) - centre * scales
    tl.store(shift + c, shifts, mask=known)


@triton.jit
def through_statistics(
    of_weight, of_bias, mean, inverse, scale, values, per_x, per_one, c, known, OF_BATCH: tl.constexpr
):  # fmt: skip
    """What a batch's statistics, of so many `values`, add to each gradient: by the value, and beside."""
    if OF_BATCH:
        by_value = -scale * inverse * of_weight / values
        tl.store(per_x + c, by_value, mask=known)
        tl.store(per_one + c, -scale * of_bias / values - by_value * mean, mask=known)
    else:
        tl.store(per_x + c, tl.zeros_like(scale), mask=known)
        tl.store(per_one + c, tl.zeros_like(scale), mask=known)


@triton.jit(do_not_specialize=("values",))
def of_first_norm(
    sums, mean, inverse, scale, of_taps, of_weight, of_bias, per_x, per_one, values, channels,
    OF_BATCH: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Gradients from the sums of `depthwise_backward`, [11, channels].

    Those of the taps, [channels, 9], and of the norm's weight and bias; and what its statistics add.
    """
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    known = c < channels
    for t in tl.static_range(9):
        tap = tl.load(sums + t * channels + c, mask=known, other=0.0)
        tl.store(of_taps + c * 9 + t, tap.to(of_taps.dtype.element_ty), mask=known)
    inverses = numbers(inverse, c, known)
    by_bias = tl.load(sums + 9 * channels + c, mask=known, other=0.0)
    by_weight = tl.load(sums + 10 * channels + c, mask=known, other=0.0) * inverses
    tl.store(of_bias + c, by_bias, mask=known)
    tl.store(of_weight + c, by_weight, mask=known)
    through_statistics(
        by_weight, by_bias, numbers(mean, c, known), inverses, numbers(scale, c, known), values,
        per_x, per_one, c, known, OF_BATCH,
    )  # fmt: skip
