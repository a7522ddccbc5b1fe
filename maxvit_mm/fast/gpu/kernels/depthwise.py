"""Norm, GELU, depthwise 3x3 convolution, norm, GELU in one pass, with the sums of what comes out; in training
its first half, with the statistics of what comes out.

Maps are [b, height, width, channels] in memory. A program has some channels of some *strips*, each of
`ROWS` rows of what comes out, and walks along some of their columns. So it normalises and activates a value
of the map once, not nine times: only rows that two strips share, and columns that two walks share, are
computed twice. All of it is in fp32 inside. Sizes are arguments; none is compiled for.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .statistics import of_program, store_moments, vector

# Twice sqrt(2 / pi), by log2(e), with the sign of what exp2 is to be taken of; and that times 0.044715.
GELU_A = tl.constexpr(-2.302208198144325)
GELU_B = tl.constexpr(-0.1029432407153678)
HALF_ROOT = tl.constexpr(0.7071067811865476)
# Arguments that Triton is not to compile for the values of.
SIZES = (
    *("strips", "strips_an_image", "height", "width", "height_out", "width_out", "columns", "above", "left"),
)


@triton.jit
def gelu(x, TANH: tl.constexpr):
    """As `1 + tanh(u) = 2 sigmoid(2u)`, by tanh it is `x * sigmoid(2u)`."""
    if TANH:
        return x / (1.0 + tl.exp2(x * (GELU_A + GELU_B * x * x)))
    return 0.5 * x * (1.0 + tl.erf(x * HALF_ROOT))


@triton.jit
def scale_and_shift(mean, variance, weight, bias, eps, c, known, NORMED: tl.constexpr):
    """A norm's at its statistics, [1, channels]; those of none where norms have been folded."""
    if NORMED:
        scale = tl.load(weight + c, mask=known, other=0.0).to(tl.float32)
        scale *= 1.0 / tl.sqrt(tl.load(variance + c, mask=known, other=1.0).to(tl.float32) + eps)
        shift = tl.load(bias + c, mask=known, other=0.0).to(tl.float32)
        shift -= tl.load(mean + c, mask=known, other=0.0).to(tl.float32) * scale
    else:
        scale = known.to(tl.float32)
        shift = tl.zeros_like(scale)
    return scale[None, :], shift[None, :]


@triton.jit
def activated(
    x, row, column, inside, height, width, channels, scale, shift, COUNT: tl.constexpr, TANH: tl.constexpr
):  # fmt: skip
    """The GELU of `COUNT` normalised rows of a column, from `row` on; 0 in the padding."""
    values = ()
    for r in tl.static_range(COUNT):
        there = inside & (row + r >= 0) & (row + r < height) & (column >= 0) & (column < width)
        value = tl.load(x + (r * width + column) * channels, mask=there, other=0.0).to(tl.float32)
        values = values + (tl.where(there, gelu(value * scale + shift, TANH), 0.0),)
    return values


@triton.jit
def add_taps(to, values, taps, COLUMN: tl.constexpr, STRIDE: tl.constexpr, ROWS: tl.constexpr):
    """What a column of the map adds to each row through a column of the taps."""
    added = ()
    for r in tl.static_range(ROWS):
        a = taps[COLUMN] * values[STRIDE * r]
        b = taps[3 + COLUMN] * values[STRIDE * r + 1]
        added = added + (to[r] + a + b + taps[6 + COLUMN] * values[STRIDE * r + 2],)
    return added


@triton.jit(do_not_specialize=SIZES)
def forward(
    x, out, sums, weight, bias,
    mean1, variance1, weight1, bias1, eps1, mean2, variance2, weight2, bias2, eps2,
    strips, strips_an_image, height, width, height_out, width_out, columns, above, left, channels,
    NORMED: tl.constexpr, BIASED: tl.constexpr, WHOLE: tl.constexpr, TANH: tl.constexpr, STRIDE: tl.constexpr,
    ROWS: tl.constexpr, STRIPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """out: [b, height_out, width_out, channels]; sums, in fp32: [strips, walks, channels].

    Not the `WHOLE` of it ends with the convolution, without its bias. Of the first norm it takes the scale
    and the shift, `weight1` and `bias1`; `sums` are partial statistics of `out`, [tiles, walks, 3, channels].
    """
    READ: tl.constexpr = STRIDE * (ROWS - 1) + 3  # rows of the map
    c, number = of_program(channels, CHANNELS)
    strip = number * STRIPS + tl.arange(0, STRIPS)
    known = c < channels
    inside = (strip < strips)[:, None] & known[None, :]
    image = (strip // strips_an_image).to(tl.int64)
    row_out = strip % strips_an_image * ROWS
    row = row_out * STRIDE - above
    x += ((image * height + row) * width)[:, None] * channels + c[None, :]
    out += ((image * height_out + row_out) * width_out)[:, None] * channels + c[None, :]
    row = row[:, None]
    row_out = row_out[:, None]
    if WHOLE:
        scale1, shift1 = scale_and_shift(mean1, variance1, weight1, bias1, eps1, c, known, NORMED)
        scale2, shift2 = scale_and_shift(mean2, variance2, weight2, bias2, eps2, c, known, NORMED)
    else:
        scale1 = vector(weight1, c, known)
        shift1 = vector(bias1, c, known)
    if WHOLE and BIASED:
        shift2 += scale2 * tl.load(bias + c, mask=known, other=0.0).to(tl.float32)[None, :]
    taps = ()
    for t in tl.static_range(9):
        taps = taps + (tl.load(weight + c * 9 + t, mask=known, other=0.0).to(tl.float32)[None, :],)
    nothing = ()
    for _ in tl.static_range(ROWS):
        nothing = nothing + (tl.zeros((STRIPS, CHANNELS), tl.float32),)

    start = tl.program_id(1) * columns
    stop = tl.minimum(start + columns, width_out)
    at = start * STRIDE - left
    total = tl.zeros((STRIPS, CHANNELS), tl.float32)
    squares = total
    pivot = total  # the first value of a lane
    values = activated(x, row, at, inside, height, width, channels, scale1, shift1, READ, TANH)
    begun = add_taps(nothing, values, taps, 0, STRIDE, ROWS)  # of the column that comes out next
    behind = nothing  # of the one after, where a column of the map has a part in three
    if STRIDE == 1:
        values = activated(x, row, at + 1, inside, height, width, channels, scale1, shift1, READ, TANH)
        begun = add_taps(begun, values, taps, 1, STRIDE, ROWS)
        behind = add_taps(nothing, values, taps, 0, STRIDE, ROWS)
    for column in range(start, stop):
        at = column * STRIDE - left
        if STRIDE == 2:
            values = activated(x, row, at + 1, inside, height, width, channels, scale1, shift1, READ, TANH)
            begun = add_taps(begun, values, taps, 1, STRIDE, ROWS)
        values = activated(x, row, at + 2, inside, height, width, channels, scale1, shift1, READ, TANH)
        done = add_taps(begun, values, taps, 2, STRIDE, ROWS)
        if STRIDE == 1:
            begun = add_taps(behind, values, taps, 1, STRIDE, ROWS)
            behind = add_taps(nothing, values, taps, 0, STRIDE, ROWS)
        else:
            begun = add_taps(nothing, values, taps, 0, STRIDE, ROWS)
        for r in tl.static_range(ROWS):
            there = inside & (row_out + r < height_out)
            value = done[r]
            if WHOLE:
                value = gelu(value * scale2 + shift2, TANH)
            place = out + (r * width_out + column) * channels
            stored = value.to(out.dtype.element_ty)
            tl.store(place, stored, mask=there)
            if not WHOLE:  # statistics are of the map as it is rounded
                value = stored.to(tl.float32)
                if r == 0:
                    pivot = tl.where(column == start, value, pivot)
                value -= pivot
                squares += tl.where(there, value * value, 0.0)
            total += tl.where(there, value, 0.0)
    if WHOLE:
        walk = strip * tl.num_programs(1) + tl.program_id(1)
        tl.store(sums + walk.to(tl.int64)[:, None] * channels + c[None, :], total, mask=inside)
    else:
        rows = tl.minimum(height_out - row_out, ROWS) * (stop - start)
        counts = tl.where(inside, rows.to(tl.float32), 0.0)
        row = number * tl.num_programs(1) + tl.program_id(1)
        store_moments(sums, row, c, known, channels, counts, pivot, total, squares)
