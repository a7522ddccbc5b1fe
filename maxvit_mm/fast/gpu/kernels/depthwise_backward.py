"""The way back through norm, GELU, depthwise 3x3 convolution, norm and GELU in one pass; see `depthwise`.

From the gradient of the gated map and both maps that were kept, `x` before the first norm and `z` before
the second, to the gradient of what the first norm returned, and the sums of it that the norm and the taps
need.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .gate import gelu_and_slope
from .statistics import of_program, vector

SIZES = (
    *("strips", "strips_an_image", "height", "width", "height_out", "width_out", "columns", "above", "left"),
)


@triton.jit
def of_convolved(
    of_y, z, row, column, inside, height_out, width_out, channels,
    scale, shift, factor, constant, per_z, per_one, COUNT: tl.constexpr, TANH: tl.constexpr,
):  # fmt: skip
    """The gradient of `COUNT` rows of a column of `z`, from `row` on; 0 outside the map."""
    values = ()
    for r in tl.static_range(COUNT):
        there = inside & (row + r >= 0) & (row + r < height_out) & (column >= 0) & (column < width_out)
        at = (r * width_out + column) * channels
        value = tl.load(z + at, mask=there, other=0.0).to(tl.float32)
        gradient = tl.load(of_y + at, mask=there, other=0.0).to(tl.float32)
        _, slope = gelu_and_slope(value * scale + shift, TANH)
        gradient = (gradient * factor + constant) * slope + (value * per_z + per_one)
        values = values + (tl.where(there, gradient, 0.0),)
    return values


@triton.jit(do_not_specialize=SIZES)
def backward(
    of_y, z, x, g, sums, weight, mean1, scale1, shift1, scale2, shift2, factor, constant, per_z, per_one,
    strips, strips_an_image, height, width, height_out, width_out, columns, above, left, channels,
    TANH: tl.constexpr, STRIDE: tl.constexpr,
    ROWS: tl.constexpr, STRIPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """A program writes `STRIDE * ROWS` rows of `g` a strip, and `STRIDE` columns a step of its walk.

    Args:
        factor, constant: [b, channels]; the gradient of `z` is
            `(factor * of_y + constant) * gelu'(scale2 * z + shift2) + per_z * z + per_one`.
        sums: [tiles, walks, 11, channels], of the nine taps' gradients, of `g` and of `g * (x - mean1)`.
    """
    READ: tl.constexpr = ROWS + 2 if STRIDE == 1 else ROWS + 1  # rows of z
    WRITTEN: tl.constexpr = STRIDE * ROWS
    c, number = of_program(channels, CHANNELS)
    strip = number * STRIPS + tl.arange(0, STRIPS)
    known = c < channels
    inside = (strip < strips)[:, None] & known[None, :]
    image = (strip // strips_an_image).to(tl.int64)
    row_out = strip % strips_an_image * ROWS
    row = row_out if STRIDE == 1 else row_out * 2 - above
    row_out = row_out - 1  # the first whose taps reach the first row written
    at = ((image * height + row) * width)[:, None] * channels + c[None, :]
    x += at
    g += at
    at = ((image * height_out + row_out) * width_out)[:, None] * channels + c[None, :]
    of_y += at
    z += at
    row = row[:, None]
    row_out = row_out[:, None]
    mean1 = vector(mean1, c, known)
    scale1 = vector(scale1, c, known)
    shift1 = vector(shift1, c, known)
    scale2 = vector(scale2, c, known)
    shift2 = vector(shift2, c, known)
    per_z = vector(per_z, c, known)
    per_one = vector(per_one, c, known)
    at = image[:, None] * channels + c[None, :]
    factor = tl.load(factor + at, mask=inside, other=0.0).to(tl.float32)
    constant = tl.load(constant + at, mask=inside, other=0.0).to(tl.float32)
    taps = ()
    of_taps = ()
    for t in tl.static_range(9):
        taps = taps + (tl.load(weight + c * 9 + t, mask=known, other=0.0).to(tl.float32)[None, :],)
        of_taps = of_taps + (tl.zeros((STRIPS, CHANNELS), tl.float32),)
    total = tl.zeros((STRIPS, CHANNELS), tl.float32)
    deviations = tl.zeros((STRIPS, CHANNELS), tl.float32)

    start = tl.program_id(1) * columns
    stop = tl.minimum(start + columns, width if STRIDE == 1 else (width + left + 1) // 2)
    before = of_convolved(
        of_y, z, row_out, start - 1, inside, height_out, width_out, channels,
        scale2, shift2, factor, constant, per_z, per_one, READ, TANH,
    )  # fmt: skip
    here = before
    if STRIDE == 1:
        here = of_convolved(
            of_y, z, row_out, start, inside, height_out, width_out, channels,
            scale2, shift2, factor, constant, per_z, per_one, READ, TANH,
        )  # fmt: skip
    for step in range(start, stop):
        after = of_convolved(
            of_y, z, row_out, step + 2 - STRIDE, inside, height_out, width_out, channels,
            scale2, shift2, factor, constant, per_z, per_one, READ, TANH,
        )  # fmt: skip
        for r in tl.static_range(WRITTEN):
            for e in tl.static_range(STRIDE):
                column = step if STRIDE == 1 else 2 * step + e - left
                there = inside & (row + r >= 0) & (row + r < height) & (column >= 0) & (column < width)
                place = (r * width + column) * channels
                value = tl.load(x + place, mask=there, other=0.0).to(tl.float32)
                a, slope = gelu_and_slope(value * scale1 + shift1, TANH)
                a = tl.where(there, a, 0.0)
                of_a = tl.zeros((STRIPS, CHANNELS), tl.float32)
                grown = ()
                for i in tl.static_range(3):
                    for j in tl.static_range(3):
                        if STRIDE == 1:
                            of_z = (after if j == 0 else (here if j == 1 else before))[r + 2 - i]
                        else:
                            of_z = (before if j == 2 else after)[r // 2 + 1 - i // 2]
                        if STRIDE == 1 or (i % 2 == r % 2 and j % 2 == e):  # the taps that meet this place
                            of_a += taps[3 * i + j] * of_z
                            grown = grown + (of_taps[3 * i + j] + a * of_z,)
                        else:
                            grown = grown + (of_taps[3 * i + j],)
                of_taps = grown
                gradient = of_a * slope
                stored = gradient.to(g.dtype.element_ty)
                tl.store(g + place, stored, mask=there)
                # Sums are of the gradient as it is rounded: its means are to cancel.
                gradient = tl.where(there, stored.to(tl.float32), 0.0)
                total += gradient
                deviations += gradient * (value - mean1)
        before = here if STRIDE == 1 else after
        here = after
    at = (number * tl.num_programs(1) + tl.program_id(1)).to(tl.int64) * 11 * channels
    for t in tl.static_range(9):
        tl.store(sums + at + t * channels + c, tl.sum(of_taps[t], 0), mask=known)
    tl.store(sums + at + 9 * channels + c, tl.sum(total, 0), mask=known)
    tl.store(sums + at + 10 * channels + c, tl.sum(deviations, 0), mask=known)
