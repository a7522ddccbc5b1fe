"""`MaxViTBlock.forward` on a GPU: each sum with a residual in one kernel with the LayerNorm behind it.

Of a block's five sums, four have a norm behind them, two of which are in the next half. So a sum and its norm
are two reads and two writes of the map, stochastic depth among them, and three reads and one or two writes on
the way back. All else is the layers' own, which choose for themselves how they run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...network.stochastic_depth import StochasticDepth
from ...network.trunk import MaxViTBlock
from ..precision import autocast_dtype
from .operators import WayBack, operator

HALVES = "block_attention", "grid_attention"
Run = Callable[[Any, Tensor], Tensor]
INSIDE = (
    "mbconv.drop_path",
    *(f"{half}.{name}" for half in HALVES for name in ("norm1", "norm2", "drop_path")),
)


def block(layer: MaxViTBlock, x: Tensor, size: tuple[int, int]) -> Tensor:
    """`MaxViTBlock.forward`."""
    mbconv = layer.mbconv
    branch = mbconv.branch(x)
    shortcut = mbconv.shortcut(mbconv.pool(x))
    return with_halves(
        layer, shortcut, branch, lambda half, y: half.attention(y, size), lambda half, y: half.ffn(y)
    )


def with_halves(layer: MaxViTBlock, shortcut: Tensor, branch: Tensor, attend: Run, feed: Run) -> Tensor:
    """A block behind what its MBConv adds, [b, c, height, width] each.

    Args:
        attend, feed: attention and FFN of a half, from the norms before them.
    """
    shortcut, branch = (each.permute(0, 2, 3, 1) for each in (shortcut, branch))
    inner: Any = layer._modules
    drop = inner["mbconv"].drop_path
    for name in HALVES:
        half = inner[name]
        norm1, norm2 = (half._modules[norm] for norm in ("norm1", "norm2"))
        shortcut, y = add_and_norm(shortcut, branch, drop, norm1)
        drop = half._modules["drop_path"]
        shortcut, y = add_and_norm(shortcut, attend(half, y), drop, norm2)
        branch = feed(half, y)
    return add(shortcut, branch, drop).permute(0, 3, 1, 2)


def add_and_norm(x: Tensor, branch: Tensor, drop: StochasticDepth, norm: Any) -> tuple[Tensor, Tensor]:
    """`x + drop(branch)`, [b, height, width, c], and the LayerNorm of it in what the next product takes."""
    dtype = autocast_dtype(x.device.type) or torch.promote_types(x.dtype, branch.dtype)
    return sum_and_norm(x, branch, norm.weight, norm.bias, *left_by(drop, branch), norm.eps, dtype)


def add(x: Tensor, branch: Tensor, drop: StochasticDepth) -> Tensor:
    """`x + drop(branch)`."""
    keep, factor = left_by(drop, branch)
    return x + branch if keep is None else sum_with_dropped(x, branch, keep, factor)


def left_by(drop: StochasticDepth, branch: Tensor) -> tuple[Tensor | None, float]:
    """What stochastic depth leaves of a branch: of each image, [b], 0 or 1, and the factor of the rest."""
    if not drop.training or drop.rate == 0:
        return None, 1.0
    share = 1 - drop.rate
    return branch.new_empty(len(branch)).bernoulli_(share), 1 / share


def run(
    x: Tensor,
    branch: Tensor,
    weight: Tensor,
    bias: Tensor,
    keep: Tensor | None,
    factor: float,
    eps: float,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The sum of `x` and `branch`, of which `keep` and `factor` leave something, and its norm in `dtype`."""
    from .launch.residual import forward

    return forward(x.contiguous(), branch.contiguous(), keep, factor, (weight, bias, eps), dtype)


def fake(
    x: Tensor,
    branch: Tensor,
    weight: Tensor,
    bias: Tensor,
    keep: Tensor | None,
    factor: float,
    eps: float,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    total = torch.promote_types(x.dtype, branch.dtype)
    return x.new_empty(x.shape, dtype=total), x.new_empty(x.shape, dtype=dtype)


def run_back(
    of_out: Tensor,
    of_total: Tensor,
    total: Tensor,
    weight: Tensor,
    keep: Tensor | None,
    factor: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of both summands, the second empty where it is the first; of weight and bias, [2, c]."""
    from .launch.residual import backward

    gradients = of_total.contiguous(), of_out.contiguous()
    of_x, of_branch, of_norm = backward(*gradients, total, keep, factor, weight, eps)
    return of_x, of_x.new_empty(0) if keep is None else of_branch, of_norm


def fake_back(
    of_out: Tensor,
    of_total: Tensor,
    total: Tensor,
    weight: Tensor,
    keep: Tensor | None,
    factor: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    of_branch = total.new_empty(0 if keep is None else total.shape)
    return torch.empty_like(total), of_branch, weight.new_empty(2, len(weight), dtype=torch.float32)


def keep_sum(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    _, _, weight, _, keep, *ctx.rest, _ = inputs
    ctx.save_for_backward(output[0], weight, keep)


def back(run: Callable[..., Any], ctx: Any, of_total: Tensor, of_out: Tensor) -> tuple:
    total, weight, keep = ctx.saved_tensors
    of_x, of_branch, of_norm = run(of_out, of_total, total, weight, keep, *ctx.rest)
    return of_x, of_x if keep is None else of_branch, *of_norm.unbind(), None, None, None, None


def run_dropped(x: Tensor, branch: Tensor, keep: Tensor, factor: float) -> Tensor:
    from .launch.residual import forward

    return forward(x.contiguous(), branch.contiguous(), keep, factor, None, x.dtype)[0]


def fake_dropped(x: Tensor, branch: Tensor, keep: Tensor, factor: float) -> Tensor:
    return x.new_empty(x.shape, dtype=torch.promote_types(x.dtype, branch.dtype))


def run_back_to_dropped(of_total: Tensor, keep: Tensor, factor: float) -> Tensor:
    from .launch.residual import scaled

    return scaled(of_total.contiguous(), keep, factor)


def fake_back_to_dropped(of_total: Tensor, keep: Tensor, factor: float) -> Tensor:
    return of_total.new_empty(of_total.shape)


def keep_dropped(ctx: Any, inputs: tuple, output: Tensor) -> None:
    _, _, keep, ctx.factor = inputs
    ctx.save_for_backward(keep)


def back_to_dropped(run: Callable[..., Any], ctx: Any, of_total: Tensor) -> tuple:
    return of_total, run(of_total, *ctx.saved_tensors, ctx.factor), None, None


sum_and_norm = operator("sum_and_norm", run, fake, WayBack(keep_sum, run_back, fake_back, back))
sum_with_dropped = operator(
    "sum_with_dropped",
    run_dropped,
    fake_dropped,
    WayBack(keep_dropped, run_back_to_dropped, fake_back_to_dropped, back_to_dropped),
)
