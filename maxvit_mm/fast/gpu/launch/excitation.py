"""The kernels of a squeeze-excitation's gate, started."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels import excitation
from .device import cdiv, start
from .statistics import Norm

TILE = dict(CHANNELS=64, num_warps=4)
IMAGES, WIDTH = excitation.IMAGES.value, excitation.WIDTH.value


def gate(
    sums: Tensor, places: int, of_gate: Sequence[Tensor], dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """The factors of a gate from the sums over an image's places, [b, c].

    Args:
        of_gate: the weight and bias of the first product, then of the second; contiguous.

    Returns:
        the factors, [b, c] in `dtype`, the mean and what the first product gives, in fp32.
    """
    weight1, bias1, weight2, bias2 = of_gate
    (b, c), width = sums.shape, len(bias1)
    mean, r, factor = torch.empty_like(sums), sums.new_empty(b, width), sums.new_empty(b, c, dtype=dtype)
    images = cdiv(b, IMAGES)
    given = sums, weight1, bias1, mean, r, b, 1.0 / places, width, c
    start(excitation.squeeze, (images, cdiv(width, WIDTH)), *given, **TILE)
    tiles = cdiv(c, TILE["CHANNELS"])
    start(excitation.excite, (images, tiles), r, weight2, bias2, factor, b, width, c, **TILE)
    return factor, mean, r


def gate_backward(
    sums: Tensor,
    factor: Tensor,
    mean: Tensor,
    r: Tensor,
    of_gate: Sequence[Tensor],
    norm: Norm,
    places: int,
    of_batch: bool,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """From the sums of `kernels.gate.backward`, [b, 5, c].

    Returns:
        the gradients of `of_gate`; of the norm's weight and bias; and what `launch.narrow.convolve_backward`
        goes on with.
    """
    (b, c), width = factor.shape, r.shape[1]
    weight1, _, weight2, _ = of_gate
    of_r, of_each = torch.empty_like(r), [torch.empty_like(each) for each in of_gate]
    of_norm, by_image = sums.new_empty(4, c), sums.new_empty(2, b, c)
    grid = cdiv(b, IMAGES), cdiv(width, WIDTH)
    start(excitation.back_to_squeezed, grid, sums, factor, weight2, r, of_r, b, width, c, **TILE)
    given = sums, factor, mean, r, of_r, weight1, *of_each, norm.mean, norm.inverse, norm.scale
    rest = *of_norm, *by_image, b, 1.0 / places, float(b * places), width, c
    grid = cdiv(c, TILE["CHANNELS"]), grid[1]
    start(excitation.back, grid, *given, *rest, OF_BATCH=of_batch, **TILE)
    of_weight, of_bias, per_z, per_one = of_norm
    return of_each, [of_weight, of_bias], [*by_image, per_z, per_one]
