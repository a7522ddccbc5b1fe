"""Around the gate of an MBConv, with a backward pass to come: `y = h * factor` with `h = gelu(scale * z +
shift)`.

Maps are [b, places, channels] in memory, `factor` is [b, channels]. A program has some channels of some
places of an image. Sums are written by each program; PyTorch adds them up, always in the same order.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .depthwise import GELU_A, GELU_B, HALF_ROOT, gelu
from .statistics import of_program, vector

ROOT_2_PI = tl.constexpr(0.3989422804014327)  # 1 / sqrt(2 pi)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def gelu_and_slope(x, TANH: tl.constexpr):
    """The GELU, by tanh `x * s` with `s = sigmoid(2u)`, and its derivative, `s + x * s * (1 - s) * 2u'`."""
    if TANH:
        s = 1.0 / (1.0 + tl.exp2(x * (GELU_A + GELU_B * x * x)))
        h = x * s
        return h, s - h * (1.0 - s) * LN2 * (GELU_A + 3.0 * GELU_B * x * x)
    s = 0.5 * (1.0 + tl.erf(x * HALF_ROOT))
    return x * s, s + x * ROOT_2_PI * tl.exp(-0.5 * x * x)


@triton.jit(do_not_specialize=("places", "share"))
def sum_of_gelu(
    z, scale, shift, sums, places, share, channels,
    TANH: tl.constexpr, PLACES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """sums: [b, shares, channels], of `h` over so many places of an image."""
    c, number = of_program(channels, CHANNELS)
    known = c < channels
    an_image = tl.cdiv(places, share)
    image = number // an_image
    z += image.to(tl.int64) * places * channels + c[None, :]
    scale = vector(scale, c, known)
    shift = vector(shift, c, known)
    start = number % an_image * share
    stop = tl.minimum(start + share, places)
    total = tl.zeros((PLACES, CHANNELS), tl.float32)
    for first in range(start, stop, PLACES):
        place = (first + tl.arange(0, PLACES))[:, None]
        there = (place < stop) & known[None, :]
        value = tl.load(z + place.to(tl.int64) * channels, mask=there, other=0.0).to(tl.float32)
        total += tl.where(there, gelu(value * scale + shift, TANH), 0.0)
    at = number.to(tl.int64) * channels
    tl.store(sums + at + c, tl.sum(total, 0), mask=known)


@triton.jit(do_not_specialize=("places",))
def gated(
    z, scale, shift, factor, y, places, channels,
    TANH: tl.constexpr, PLACES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    c, number = of_program(channels, CHANNELS)
    known = c < channels
    an_image = tl.cdiv(places, PLACES)
    image = (number // an_image).to(tl.int64)
    place = (number % an_image * PLACES + tl.arange(0, PLACES))[:, None]
    there = (place < places) & known[None, :]
    at = (image * places + place) * channels + c[None, :]
    value = tl.load(z + at, mask=there, other=0.0).to(tl.float32)
    h = gelu(value * vector(scale, c, known) + vector(shift, c, known), TANH)
    h *= vector(factor + image * channels, c, known)
    tl.store(y + at, h.to(y.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=("places", "share"))
def backward(
    of_y, z, mean, scale, shift, factor, y, sums, places, share, channels,
    TANH: tl.constexpr, PLACES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """`y` once more, and sums over a share of an image's places, [b, shares, 5, channels].

    Of `g h`, `g h'`, `g h' (z - mean)`, `h'` and `h' (z - mean)`, with `g` the gradient of `y` and `h'` the
    derivative of the GELU. The last two are for what the gate's gradient adds to that of `h`. It is the same
    for all places of an image, and known once the first is.
    """
    c, number = of_program(channels, CHANNELS)
    known = c < channels
    an_image = tl.cdiv(places, share)
    image = number // an_image
    base = image.to(tl.int64) * places * channels + c[None, :]
    mean = vector(mean, c, known)
    scale = vector(scale, c, known)
    shift = vector(shift, c, known)
    factor = vector(factor + image.to(tl.int64) * channels, c, known)
    start = number % an_image * share
    stop = tl.minimum(start + share, places)
    nothing = tl.zeros((PLACES, CHANNELS), tl.float32)
    by_gate, by_shift, by_scale, slopes, deviations = nothing, nothing, nothing, nothing, nothing
    for first in range(start, stop, PLACES):
        place = (first + tl.arange(0, PLACES))[:, None]
        there = (place < stop) & known[None, :]
        at = base + place.to(tl.int64) * channels
        gradient = tl.load(of_y + at, mask=there, other=0.0).to(tl.float32)
        value = tl.load(z + at, mask=there, other=0.0).to(tl.float32)
        h, slope = gelu_and_slope(value * scale + shift, TANH)
        tl.store(y + at, (h * factor).to(y.dtype.element_ty), mask=there)
        slope = tl.where(there, slope, 0.0)
        by_gate += gradient * h
        by_shift += gradient * slope
        by_scale += gradient * slope * (value - mean)
        slopes += slope
        deviations += slope * (value - mean)
    sums += number.to(tl.int64) * 5 * channels + c
    tl.store(sums, tl.sum(by_gate, 0), mask=known)
    tl.store(sums + channels, tl.sum(by_shift, 0), mask=known)
    tl.store(sums + 2 * channels, tl.sum(by_scale, 0), mask=known)
    tl.store(sums + 3 * channels, tl.sum(slopes, 0), mask=known)
    tl.store(sums + 4 * channels, tl.sum(deviations, 0), mask=known)
