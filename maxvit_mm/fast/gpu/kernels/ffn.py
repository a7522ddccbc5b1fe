"""The way back through an FFN's GELU in one pass: both operands of the products that follow, and a sum."""

from __future__ import annotations

import triton
import triton.language as tl

from .gate import gelu_and_slope


@triton.jit(do_not_specialize=("tokens", "share"))
def backward(
    z, gradient, hidden, sums, tokens, share, channels,
    TANH: tl.constexpr, PLACES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """`hidden` is the GELU of `z` once more; `gradient`, of what it returned, becomes that of `z`, in place.

    Maps are [tokens, channels]. sums: [shares, channels] in fp32, of that gradient over a share of tokens.
    """
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    known = c < channels
    start = tl.program_id(1).to(tl.int64) * share
    stop = tl.minimum(start + share, tokens)
    total = tl.zeros((PLACES, CHANNELS), tl.float32)
    for first in range(start, stop, PLACES):
        place = (first + tl.arange(0, PLACES))[:, None]
        there = (place < stop) & known[None, :]
        at = place.to(tl.int64) * channels + c[None, :]
        h, slope = gelu_and_slope(tl.load(z + at, mask=there, other=0.0).to(tl.float32), TANH)
        tl.store(hidden + at, h.to(hidden.dtype.element_ty), mask=there)
        of_z = tl.load(gradient + at, mask=there, other=0.0).to(tl.float32) * slope
        tl.store(gradient + at, of_z.to(gradient.dtype.element_ty), mask=there)
        total += of_z
    tl.store(sums + tl.program_id(1).to(tl.int64) * channels + c, tl.sum(total, 0), mask=known)
