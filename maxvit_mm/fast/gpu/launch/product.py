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

SCATTER = dict(TOKENS=64, TILE=64, num_warps=4)
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
    (tokens, c), outputs, tile = n.shape, len(weight), SCATTER["TILE"]
    tiles = cdiv(c, tile) ** 2
    wanted = cdiv(READERS_AN_SM * processors_of(n), tiles)
    share = max(SHORTEST_SHARE, cdiv(tokens, wanted))
    shares = cdiv(tokens, share)
    sums = n.new_empty(shares, c + 1, c, dtype=torch.float32)
    exact = "tf32" if is_fp32(n) and n.is_cuda and takes_tf32() else product.EXACT.value
    start(product.scatter, (tiles * shares,), n, sums, tokens, share, c, PRECISION=exact, **SCATTER)
    sums = sums.sum(0) if shares > 1 else sums
    found, by_scatter, mean = sums.new_empty(1, 3, outputs), sums.new_empty(outputs, c), sums.new_empty(c)
    grid = (cdiv(outputs, OF_PRODUCT["ROWS"]),)
    given = sums, n, weight, by_scatter, mean, found, float(tokens), c, outputs
    start(product.statistics, grid, *given, **OF_PRODUCT)
    return OfProduct(found, by_scatter, mean)


def backward(
    g: Tensor,
    n: Tensor,
    weight: Tensor,
    scale: Tensor,
    added: Sequence[Tensor],
    of_product: OfProduct | None,
) -> tuple[Tensor, Tensor]:
    """The gradients of `n` and, in fp32, of the weight, from that of what the norm of `z` returned.

    Args:
        g: [tokens, outputs].
        added: what the statistics add to the gradient of `z`, by its value and beside, [outputs] each.
        of_product: what they are from, None where they are constants.
    """
    (outputs, c), of_batch = weight.shape, of_product is not None
    scaled, through, constant = torch.empty_like(weight), weight.new_empty(c, c), weight.new_empty(c)
    tiles = cdiv(c, BACK["TILE"])
    given = scale, *added, scaled, through, constant, c, outputs
    start(product.back, (tiles**2 if of_batch else tiles,), weight, *given, OF_BATCH=of_batch, **BACK)
    of_n = torch.addmm(constant, n, through).addmm_(g, scaled) if of_batch else g @ scaled
    of_weight = precision.product_in_fp32(g.t(), n)
    found, by_scatter, mean = of_product or (of_weight,) * 3
    grid = (cdiv(outputs, OF_WEIGHT["ROWS"]) * cdiv(c, OF_WEIGHT["TILE"]),)
    rest = by_scatter, mean, found, scale, *added, float(len(n)), c, outputs
    start(product.of_weight, grid, of_weight, *rest, OF_BATCH=of_batch, **OF_WEIGHT)
    return of_n, of_weight
