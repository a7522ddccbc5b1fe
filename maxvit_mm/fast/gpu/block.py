"""`MaxViTBlock.forward` on a GPU: each sum with a residual in one kernel with the LayerNorm behind it.

Of a block's five sums, four have a norm behind them, two of which are in the next half. So a sum and its norm
are two reads and two writes of the map, stochastic depth among them, and three reads and one or two writes on
the way back. All else is the layers' own, which choose for themselves how they run.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...network.stochastic_depth import StochasticDepth
from ...network.trunk import MaxViTBlock
from ..cpu.lean import backward_pass
from ..precision import autocast_dtype

HALVES = "block_attention", "grid_attention"
INSIDE = (
    "mbconv.drop_path",
    *(f"{half}.{name}" for half in HALVES for name in ("norm1", "norm2", "drop_path")),
)


def block(layer: MaxViTBlock, x: Tensor, size: tuple[int, int]) -> Tensor:
    """`MaxViTBlock.forward`."""
    mbconv, halves = layer.mbconv, (layer.block_attention, layer.grid_attention)
    branch = mbconv.narrow(mbconv.expand(mbconv.pre_norm(x)))
    shortcut, branch = (each.permute(0, 2, 3, 1) for each in (mbconv.shortcut(mbconv.pool(x)), branch))
    drop: Any = mbconv.drop_path
    for half in halves:
        shortcut, y = add_and_norm(shortcut, branch, drop, half.norm1)
        drop = half.drop_path
        shortcut, y = add_and_norm(shortcut, half.attention(y, size), drop, half.norm2)
        branch = half.ffn(y)
    return add(shortcut, branch, drop).permute(0, 3, 1, 2)


def add_and_norm(x: Tensor, branch: Tensor, drop: StochasticDepth, norm: Any) -> tuple[Tensor, Tensor]:
    """`x + drop(branch)`, [b, height, width, c], and the LayerNorm of it in what the next product takes."""
    from .launch.residual import forward

    x, branch, kept = x.contiguous(), branch.contiguous(), left_by(drop, branch)
    dtype = autocast_dtype(x.device.type) or torch.promote_types(x.dtype, branch.dtype)
    if torch.is_grad_enabled():
        return _AddAndNorm.apply(x, branch, norm.weight, norm.bias, *kept, norm.eps, dtype)
    return forward(x, branch, *kept, (norm.weight, norm.bias, norm.eps), dtype)


def add(x: Tensor, branch: Tensor, drop: StochasticDepth) -> Tensor:
    """`x + drop(branch)`."""
    keep, factor = left_by(drop, branch)
    return x + branch if keep is None else _Add.apply(x.contiguous(), branch.contiguous(), keep, factor)


def left_by(drop: StochasticDepth, branch: Tensor) -> tuple[Tensor | None, float]:
    """What stochastic depth leaves of a branch: of each image, [b], 0 or 1, and the factor of the rest."""
    if not drop.training or drop.rate == 0:
        return None, 1.0
    share = 1 - drop.rate
    return branch.new_empty(len(branch)).bernoulli_(share), 1 / share


class _AddAndNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        branch: Tensor,
        weight: Tensor,
        bias: Tensor,
        keep: Tensor | None,
        factor: float,
        eps: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        from .launch.residual import forward

        total, out = forward(x, branch, keep, factor, (weight, bias, eps), dtype)
        ctx.save_for_backward(total, weight, keep)
        ctx.rest = factor, eps
        return total, out

    @staticmethod
    @backward_pass
    def backward(ctx: Any, of_total: Tensor, of_out: Tensor) -> tuple:
        from .launch.residual import backward

        (total, weight, keep), (factor, eps) = ctx.saved_tensors, ctx.rest
        gradients = of_total.contiguous(), of_out.contiguous()
        of_x, of_branch, (of_weight, of_bias) = backward(*gradients, total, keep, factor, weight, eps)
        return of_x, of_branch, of_weight, of_bias, None, None, None, None


class _Add(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, branch: Tensor, keep: Tensor, factor: float) -> Tensor:
        from .launch.residual import forward

        ctx.save_for_backward(keep)
        ctx.factor = factor
        return forward(x, branch, keep, factor, None, x.dtype)[0]

    @staticmethod
    @backward_pass
    def backward(ctx: Any, of_total: Tensor) -> tuple:
        from .launch.residual import scaled

        (keep,) = ctx.saved_tensors
        return of_total, scaled(of_total.contiguous(), keep, ctx.factor), None, None
