"""A branch added to its residual, and the LayerNorm of the sum, in one pass each way.

Maps are [tokens, channels] in memory, and a program has some tokens whole: `BLOCK` is the power of two that
holds a token's channels. Sums are as precise as the map that holds them, all else is in fp32. The backward
pass normalises the sum again: nothing is kept for it but the sum, which the network keeps anyway.
"""

from __future__ import annotations

import triton
import triton.language as tl

SIZES = ("tokens", "an_image", "most", "kept", "eps")


@triton.jit
def factors(keep, token, tokens, an_image, kept):
    """What stochastic depth leaves of a branch: `kept` or nothing, by image. [tokens, 1]."""
    left = tl.load(keep + token // an_image, mask=token < tokens, other=0.0).to(tl.float32)
    return (left * kept)[:, None]


@triton.jit
def normalised(x, there, channels, eps):
    """Of each token, and its inverse deviation."""
    centred = tl.where(there, x - (tl.sum(x, 1) / channels)[:, None], 0.0)
    inverse = 1.0 / tl.sqrt(tl.sum(centred * centred, 1) / channels + eps)
    return centred * inverse[:, None], inverse


@triton.jit(do_not_specialize=SIZES)
def forward(
    x, branch, keep, total, out, weight, bias, tokens, an_image, kept, eps, channels,
    DROPS: tl.constexpr, NORMS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """`total = x + branch`, of which `out` is the norm, if it `NORMS`.

    Args:
        keep: [b], 0 or 1, where it `DROPS`; an image has `an_image` tokens.
        kept: the factor of a branch that is kept.
    """
    token = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, BLOCK)
    there = (token < tokens)[:, None] & (c < channels)[None, :]
    at = token[:, None] * channels + c[None, :]
    added = tl.load(branch + at, mask=there, other=0.0).to(tl.float32)
    if DROPS:
        added *= factors(keep, token, tokens, an_image, kept)
    value = (tl.load(x + at, mask=there, other=0.0).to(tl.float32) + added).to(total.dtype.element_ty)
    tl.store(total + at, value, mask=there)
    if NORMS:
        hat, _ = normalised(value.to(tl.float32), there, channels, eps)
        scale = tl.load(weight + c, mask=c < channels, other=0.0).to(tl.float32)
        shift = tl.load(bias + c, mask=c < channels, other=0.0).to(tl.float32)
        tl.store(out + at, (hat * scale[None, :] + shift[None, :]).to(out.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=SIZES)
def backward(
    of_out, of_total, total, keep, of_x, of_branch, sums, weight, tokens, most, an_image, kept, eps, channels,
    DROPS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradient of `x` and, where it `DROPS`, that of `branch`, which is the same otherwise.

    Args:
        of_total: what comes from elsewhere for the sum.
        sums: [programs, 2, channels] in fp32, of the gradients of weight and bias.
        most: tokens of a program.
    """
    c = tl.arange(0, BLOCK)
    known = c < channels
    scale = tl.load(weight + c, mask=known, other=0.0).to(tl.float32)
    start = tl.program_id(0).to(tl.int64) * most
    stop = tl.minimum(start + most, tokens)
    of_weight = tl.zeros((ROWS, BLOCK), tl.float32)
    of_bias = tl.zeros((ROWS, BLOCK), tl.float32)
    for first in range(start, stop, ROWS):
        token = first + tl.arange(0, ROWS).to(tl.int64)
        there = (token < stop)[:, None] & known[None, :]
        at = token[:, None] * channels + c[None, :]
        hat, inverse = normalised(
            tl.load(total + at, mask=there, other=0.0).to(tl.float32), there, channels, eps
        )
        gradient = tl.load(of_out + at, mask=there, other=0.0).to(tl.float32)
        of_weight += gradient * hat
        of_bias += gradient
        gradient *= scale[None, :]
        by_hat = tl.sum(gradient * hat, 1) / channels
        by_one = tl.sum(gradient, 1) / channels
        gradient = (gradient - by_one[:, None] - hat * by_hat[:, None]) * inverse[:, None]
        gradient += tl.load(of_total + at, mask=there, other=0.0).to(tl.float32)
        tl.store(of_x + at, gradient.to(of_x.dtype.element_ty), mask=there)
        if DROPS:
            gradient *= factors(keep, token, stop, an_image, kept)
            tl.store(of_branch + at, gradient.to(of_branch.dtype.element_ty), mask=there)
    sums += tl.program_id(0).to(tl.int64) * 2 * channels + c
    tl.store(sums, tl.sum(of_weight, 0), mask=known)
    tl.store(sums + channels, tl.sum(of_bias, 0), mask=known)


@triton.jit(do_not_specialize=SIZES)
def scaled(
    of_total, keep, of_branch, tokens, an_image, kept, channels, ROWS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """The gradient of a branch, of which stochastic depth left something or nothing."""
    token = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, BLOCK)
    there = (token < tokens)[:, None] & (c < channels)[None, :]
    at = token[:, None] * channels + c[None, :]
    gradient = tl.load(of_total + at, mask=there, other=0.0).to(tl.float32)
    gradient *= factors(keep, token, tokens, an_image, kept)
    tl.store(of_branch + at, gradient.to(of_branch.dtype.element_ty), mask=there)
