"""The kernels of a BatchNorm behind a product, started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ... import precision
from ..kernels import product
from .attention import is_fp32, takes_tf32
from .device import cdiv, processors_of, start

# In 16 bits and, True, in fp32, of whose tiles the smaller GPUs hold but one at a time.
SCATTER = {False: dict(TILE=64, num_warps=4), True: dict(TILE=64, num_warps=4, num_stages=1)}
OF_N = {
    False: dict(TOKENS=64, TILE=64, num_warps=4),
    True: dict(TOKENS=64, TILE=64, num_warps=4, num_stages=1),
}
TOKENS = 64  # that are read at a time, the first of which the pivot is from
OF_PRODUCT = dict(ROWS=16, TILE=64, num_warps=4)
BACK = dict(ROWS=32, TILE=64, num_warps=8)
OF_WEIGHT = dict(ROWS=16, TILE=64, num_warps=4)
READERS_AN_SM = 2  # programs that read a map, of all its tiles together
SHORTEST_SHARE = 1024  # tokens: what a program writes is a small part of what it reads


class OfProduct(NamedTuple):
    """What the statistics of `z = n @ weight.T` are from, in fp32; see the kernels. None of it is empty."""

    found: Tensor  # [1, 3, outputs], partial statistics of z
    by_scatter: Tensor  # [outputs, channels]
    mean: Tensor  # [channels], of n


def statistics(n: Tensor, weight: Tensor) -> OfProduct:
    """Of a map [tokens, channels] and a weight [outputs, channels] of its precision, both contiguous."""
    (tokens, c), outputs, options = n.shape, len(weight), SCATTER[is_fp32(n)]
    tiles = cdiv(c, options["TILE"]) ** 2
    wanted = cdiv(READERS_AN_SM * processors_of(n), tiles)
    share = max(SHORTEST_SHARE, cdiv(tokens, wanted))
    shares = cdiv(tokens, share)
    sums = n.new_empty(shares, c + 2, c, dtype=torch.float32)
    given = sums, tokens, share, c
    start(product.scatter, (tiles * shares,), n, *given, PRECISION=exactness(n), TOKENS=TOKENS, **options)
    sums = sums.sum(0) if shares > 1 else sums
    found, by_scatter, mean = sums.new_empty(1, 3, outputs), sums.new_empty(outputs, c), sums.new_empty(c)
    grid = (cdiv(outputs, OF_PRODUCT["ROWS"]),)
    rest = n, weight, by_scatter, mean, found, float(tokens), c, outputs
    start(product.statistics, grid, sums, *rest, TOKENS=TOKENS, **OF_PRODUCT)
    return OfProduct(found, by_scatter, mean)


def backward(
    g: Tensor,
    n: Tensor,
    weight: Tensor,
    scale: Tensor,
    of_bias: Tensor,
    added: Sequence[Tensor],
    of_product: OfProduct | None,
) -> tuple[Tensor, Tensor]:
    """The gradients of `n` and, in fp32, of the weight, from that of what the norm of `z` returned.

    Args:
        g: [tokens, outputs].
        of_bias: [outputs], its sums over these tokens.
        added: what the statistics add to the gradient of `z`, by its value and beside, [outputs] each.
        of_product: what they are from, None where they are constants.
    """
    (outputs, c), of_batch, values = weight.shape, of_product is not None, float(len(n))
    of_weight, tiles = precision.product_in_fp32(g.t(), n), cdiv(c, BACK["TILE"])
    found, by_scatter, mean = of_product or (of_weight,) * 3
    scaled, through = torch.empty_like(weight), weight.new_empty(c, c)
    constants = scale.new_empty(tiles, c)
    given = scale, *added, of_bias, mean, scaled, through, constants, values, c, outputs
    start(product.back, (tiles**2 if of_batch else tiles,), weight, *given, OF_BATCH=of_batch, **BACK)
    if of_batch:
        constant = constants.sum(0) if tiles > 1 else constants
        of_n = summed(precision.product_in_fp32(g, scaled), n, through, constant)
    else:
        of_n = g @ scaled
    grid = (cdiv(outputs, OF_WEIGHT["ROWS"]) * cdiv(c, OF_WEIGHT["TILE"]),)
    rest = by_scatter, mean, found, scale, *added, values, c, outputs
    start(product.of_weight, grid, of_weight, *rest, OF_BATCH=of_batch, **OF_WEIGHT)
    return of_n, of_weight


def summed(of_g: Tensor, n: Tensor, through: Tensor, constant: Tensor) -> Tensor:
    """`of_g + n @ through + constant`, in the precision of `n`."""
    (tokens, c), options = n.shape, OF_N[is_fp32(n)]
    out, grid = torch.empty_like(n), (cdiv(tokens, options["TOKENS"]) * cdiv(c, options["TILE"]),)
    given = n, through, constant, out, tokens, c
    start(product.of_n, grid, of_g, *given, PRECISION=exactness(n), **options)
    return out


def exactness(n: Tensor) -> str:
    """Of products in fp32."""
    return "tf32" if is_fp32(n) and n.is_cuda and takes_tf32() else product.EXACT.value
