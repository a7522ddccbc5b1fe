"""The gate of a squeeze-excitation, from the sums of an image to a factor for each channel, and back.

Its two products are tiny: a program takes 16 images at a time, as a tile of a product must have, and some
channels. All is in fp32 inside. `r` is what the first product gives, before its activation, [b, width].
"""

from __future__ import annotations

import triton
import triton.language as tl

from .statistics import numbers, through_statistics

IMAGES = tl.constexpr(16)
WIDTH = tl.constexpr(16)  # of the squeezed, at a time
SIZES = ("images",)


@triton.jit
def tile(pointer, row, rows, column, columns):
    """[rows, columns] of a matrix, 0 outside it, in fp32."""
    there = (row < rows)[:, None] & (column < columns)[None, :]
    at = row.to(tl.int64)[:, None] * columns + column[None, :]
    return tl.load(pointer + at, mask=there, other=0.0).to(tl.float32)


@triton.jit
def put(pointer, row, rows, column, columns, values):
    there = (row < rows)[:, None] & (column < columns)[None, :]
    at = row.to(tl.int64)[:, None] * columns + column[None, :]
    tl.store(pointer + at, values.to(pointer.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=("images", "share"))
def squeeze(
    sums, weight, bias, mean, r, images, share, width, channels, CHANNELS: tl.constexpr
):  # fmt: skip
    """`mean = share * sums`, [b, channels], and `r`. A program has 16 images and 16 of the width."""
    image = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    s = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    total = tl.zeros((IMAGES, WIDTH), tl.float32)
    for first in range(0, channels, CHANNELS):
        c = first + tl.arange(0, CHANNELS)
        means = tile(sums, image, images, c, channels) * share
        if tl.program_id(1) == 0:
            put(mean, image, images, c, channels, means)
        weights = tile(weight, s, width, c, channels)
        total += tl.dot(means, tl.trans(weights), input_precision="ieee")
    total += tl.load(bias + s, mask=s < width, other=0.0).to(tl.float32)[None, :]
    put(r, image, images, s, width, total)


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit(do_not_specialize=SIZES)
def excite(r, weight, bias, factor, images, width, channels, CHANNELS: tl.constexpr):
    """The gate's factors, [b, channels]. A program has 16 images and some channels."""
    image = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    total = tl.zeros((IMAGES, CHANNELS), tl.float32)
    for first in range(0, width, WIDTH):
        s = first + tl.arange(0, WIDTH)
        squeezed = tile(r, image, images, s, width)
        weights = tile(weight, c, channels, s, width)
        total += tl.dot(squeezed * sigmoid(squeezed), tl.trans(weights), input_precision="ieee")
    total += tl.load(bias + c, mask=c < channels, other=0.0).to(tl.float32)[None, :]
    put(factor, image, images, c, channels, sigmoid(total))


@triton.jit
def summed(sums, which, image, images, c, channels):
    """One of the five sums of `gate.backward`, [b, 5, channels], of some images and channels."""
    there = (image < images)[:, None] & (c < channels)[None, :]
    at = (image.to(tl.int64)[:, None] * 5 + which) * channels + c[None, :]
    return tl.load(sums + at, mask=there, other=0.0)


@triton.jit
def of_logits(sums, factor, image, images, c, channels):
    """The gradient of what the sigmoid is of."""
    gate = tile(factor, image, images, c, channels)
    return summed(sums, 0, image, images, c, channels) * gate * (1.0 - gate)


@triton.jit(do_not_specialize=SIZES)
def back_to_squeezed(sums, factor, weight, r, of_r, images, width, channels, CHANNELS: tl.constexpr):
    """The gradient of `r`. A program has 16 images and 16 of the width."""
    image = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    s = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    total = tl.zeros((IMAGES, WIDTH), tl.float32)
    for first in range(0, channels, CHANNELS):
        c = first + tl.arange(0, CHANNELS)
        weights = tile(weight, c, channels, s, width)
        gradient = of_logits(sums, factor, image, images, c, channels)
        total += tl.dot(gradient, weights, input_precision="ieee")
    squeezed = tile(r, image, images, s, width)
    slope = sigmoid(squeezed)
    slope *= 1.0 + squeezed * (1.0 - slope)
    put(of_r, image, images, s, width, total * slope)


@triton.jit(do_not_specialize=("images", "share", "values"))
def back(
    sums, factor, mean, r, of_r, weight1, of_weight1, of_bias1, of_weight2, of_bias2,
    norm_mean, inverse, scale, of_norm_weight, of_norm_bias, per_z, per_one, by_y, by_one,
    images, share, values, width, channels, OF_BATCH: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Gradients of the gate's weights and biases and of the norm before it; what the way back goes on with.

    A program has some channels and 16 of the width, the first of which also has what is of channels alone.

    Args:
        share: of a place in the mean of its image.
        by_y, by_one: [b, channels], `factor * scale` and `constant * scale` of `depthwise_backward`.
    """
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    s = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    known = c < channels
    of_first = tl.zeros((WIDTH, CHANNELS), tl.float32)
    of_second = tl.zeros((CHANNELS, WIDTH), tl.float32)
    of_squeezed = tl.zeros((WIDTH,), tl.float32)
    for first in range(0, images, IMAGES):
        image = first + tl.arange(0, IMAGES)
        squeezed = tile(r, image, images, s, width)
        gradient = tile(of_r, image, images, s, width)
        means = tile(mean, image, images, c, channels)
        logits = of_logits(sums, factor, image, images, c, channels)
        of_first += tl.dot(tl.trans(gradient), means, input_precision="ieee")
        of_second += tl.dot(tl.trans(logits), squeezed * sigmoid(squeezed), input_precision="ieee")
        of_squeezed += tl.sum(gradient, 0)
    put(of_weight1, s, width, c, channels, of_first)
    put(of_weight2, c, channels, s, width, of_second)
    if tl.program_id(0) == 0:
        tl.store(of_bias1 + s, of_squeezed.to(of_bias1.dtype.element_ty), mask=s < width)
    if tl.program_id(1) == 0:
        scales = numbers(scale, c, known)
        inverses = numbers(inverse, c, known)
        of_gate = tl.zeros((CHANNELS,), tl.float32)
        by_bias = tl.zeros((CHANNELS,), tl.float32)
        by_weight = tl.zeros((CHANNELS,), tl.float32)
        for first in range(0, images, IMAGES):
            image = first + tl.arange(0, IMAGES)
            constant = tl.zeros((IMAGES, CHANNELS), tl.float32)
            for start in range(0, width, WIDTH):
                at = start + tl.arange(0, WIDTH)
                gradient = tile(of_r, image, images, at, width)
                constant += tl.dot(gradient, tile(weight1, at, width, c, channels), input_precision="ieee")
            constant *= share
            gate = tile(factor, image, images, c, channels)
            put(by_y, image, images, c, channels, gate * scales[None, :])
            put(by_one, image, images, c, channels, constant * scales[None, :])
            of_gate += tl.sum(of_logits(sums, factor, image, images, c, channels), 0)
            shifts = gate * summed(sums, 1, image, images, c, channels)
            by_bias += tl.sum(shifts + constant * summed(sums, 3, image, images, c, channels), 0)
            deviations = gate * summed(sums, 2, image, images, c, channels)
            by_weight += tl.sum(deviations + constant * summed(sums, 4, image, images, c, channels), 0)
        by_weight *= inverses
        tl.store(of_bias2 + c, of_gate.to(of_bias2.dtype.element_ty), mask=known)
        tl.store(of_norm_bias + c, by_bias, mask=known)
        tl.store(of_norm_weight + c, by_weight, mask=known)
        through_statistics(
            by_weight, by_bias, numbers(norm_mean, c, known), inverses, scales, values,
            per_z, per_one, c, known, OF_BATCH,
        )  # fmt: skip
