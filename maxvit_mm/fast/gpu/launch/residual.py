"""The kernels of residual sums and the norms behind them, started."""

from __future__ import annotations

import torch
from torch import Tensor

from ..kernels import residual
from .device import cdiv, power_of_2, processors_of, start

TILE = 2048  # values of a program at a time: as many tokens as that holds
WARPS = 4
BACK_AN_SM = 8  # programs of the way back, which sum the gradients of weight and bias


def tile_of(channels: int) -> dict[str, int]:
    """Tokens of a program at a time, and the power of two that holds one."""
    block = power_of_2(channels)
    return dict(ROWS=max(1, TILE // block), BLOCK=block, num_warps=WARPS if block <= TILE else 2 * WARPS)


def forward(
    x: Tensor,
    branch: Tensor,
    keep: Tensor | None,
    factor: float,
    norm: tuple[Tensor, Tensor, float] | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The sum of `x` and `branch` and, in `dtype`, the norm of it; the sum twice, where there is no norm.

    Args:
        x, branch: [b, ..., c], contiguous.
        keep: [b], 0 or 1 for each image's branch, which `factor` belongs to; None, and it is added as it is.
        norm: weight, bias and epsilon.
    """
    c = x.shape[-1]
    tokens, tile = x.numel() // c, tile_of(c)
    total = torch.empty_like(x, dtype=torch.promote_types(x.dtype, branch.dtype))
    out = total if norm is None else torch.empty_like(x, dtype=dtype)
    weight, bias, eps = norm or (x, x, 0.0)
    given = branch, x if keep is None else keep, total, out, weight, bias
    rest = tokens, tokens // len(x), factor, eps, c
    flags = dict(DROPS=keep is not None, NORMS=norm is not None)
    start(residual.forward, (cdiv(tokens, tile["ROWS"]),), x, *given, *rest, **flags, **tile)
    return total, out


def backward(
    of_total: Tensor,
    of_out: Tensor,
    total: Tensor,
    keep: Tensor | None,
    factor: float,
    weight: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of both summands; and of the norm's weight and bias, [2, c] in fp32."""
    c = total.shape[-1]
    tokens, tile = total.numel() // c, tile_of(c)
    blocks = cdiv(tokens, tile["ROWS"])
    most = cdiv(blocks, min(blocks, BACK_AN_SM * processors_of(total))) * tile["ROWS"]
    programs = cdiv(tokens, most)
    of_x = torch.empty_like(total)
    of_branch = of_x if keep is None else torch.empty_like(total)
    sums = total.new_empty(programs, 2, c, dtype=torch.float32)
    given = of_total, total, total if keep is None else keep, of_x, of_branch, sums, weight
    rest = tokens, most, tokens // len(total), factor, eps, c
    start(residual.backward, (programs,), of_out, *given, *rest, DROPS=keep is not None, **tile)
    return of_x, of_branch, sums.sum(0)


def scaled(of_total: Tensor, keep: Tensor, factor: float) -> Tensor:
    """The gradient of a branch behind which no norm is."""
    c = of_total.shape[-1]
    tokens, tile = of_total.numel() // c, tile_of(c)
    of_branch = torch.empty_like(of_total)
    rest = tokens, tokens // len(of_total), factor, c
    start(residual.scaled, (cdiv(tokens, tile["ROWS"]),), of_total, keep, of_branch, *rest, **tile)
    return of_branch
