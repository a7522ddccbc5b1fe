"""`PartitionAttention.forward` with a backward pass to come: attention's kernel, and the products around it.

To autograd it is one function instead of three. The weights are cast by one kernel, and as their gradients
are summed in fp32, these need no cast, nor lose anything to one. Kept are what comes in, queries, keys and
values, and what the last product is of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...network.attention import PartitionAttention, without_autocast
from ...network.partition import Grid
from ...network.relative_bias import resize_table
from .. import precision
from ..precision import cast_together, in_precision
from . import attention
from .operators import WayBack, operator


def train(layer: PartitionAttention, x: Tensor, size: tuple[int, int]) -> Tensor:
    """`PartitionAttention.forward`."""
    (x,) = in_precision(x)
    table = resize_table(layer.relative_position_bias_table, size).to(torch.float32)
    weights = layer.qkv.weight, layer.qkv.bias, layer.out.weight, layer.out.bias
    with without_autocast(x):
        return attended(x, *weights, table, layer.partition is Grid, size)[0]


def run(
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    table: Tensor,
    is_grid: bool,
    size: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What comes out; queries, keys and values; what `attention.run` returns; and both weights, where cast.

    Args:
        x: [b, height, width, c].
        table, is_grid, size: see `attention.run`.
    """
    cast1, bias1, cast2, bias2 = cast_together((weight1, bias1, weight2, bias2), x.dtype)
    qkv = torch.addmm(bias1, x.flatten(0, -2), cast1.t()).view(*x.shape[:-1], len(bias1))
    y, lse = attention.run(qkv, table, is_grid, size)
    out = torch.addmm(bias2, y.flatten(0, -2), cast2.t()).view(x.shape)
    kept1, kept2 = precision.new_casts((cast1, cast2), (weight1, weight2))
    return out, qkv, y, lse, kept1, kept2


def fake(x: Tensor, *given: Any) -> tuple[Tensor, ...]:
    weight1, bias1, weight2, _, table, is_grid, size = given
    qkv = x.new_empty(*x.shape[:-1], len(bias1))
    kept = attention.fake(qkv, table, is_grid, size)
    return x.new_empty(x.shape), qkv, *kept, *precision.fake_casts(x, (weight1, weight2))


def run_back(
    of_out: Tensor,
    x: Tensor,
    qkv: Tensor,
    y: Tensor,
    lse: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    table: Tensor,
    is_grid: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of all tensors that `run` takes, in order."""
    of_out, shape = of_out.flatten(0, -2), y.shape
    kept = (y, lse) if lse.numel() else ()
    of_y = (of_out @ weight2).view(shape)
    of_qkv, of_table = attention.run_back(of_y, qkv, table, kept, is_grid, True)
    of_qkv = of_qkv.flatten(0, -2)
    return (
        (of_qkv @ weight1).view(x.shape),
        precision.product_in_fp32(of_qkv.t(), x.flatten(0, -2)),
        of_qkv.sum(0, dtype=torch.float32),
        precision.product_in_fp32(of_out.t(), y.flatten(0, -2)),
        of_out.sum(0, dtype=torch.float32),
        of_table,
    )


def fake_back(of_out: Tensor, x: Tensor, qkv: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    _, _, weight1, weight2, table, _ = rest
    shapes = weight1.shape, len(weight1), weight2.shape, len(weight2), table.shape
    return x.new_empty(x.shape), *(x.new_empty(shape, dtype=torch.float32) for shape in shapes)


def keep(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)  # what is kept has none, and zeros would be written for it
    x, weight1, _, weight2, _, table, ctx.is_grid, _ = inputs
    _, qkv, y, lse, *casts = output
    weights = precision.as_multiplied(x, (weight1, weight2), casts)
    ctx.save_for_backward(x, qkv, y, lse, *weights, table)


def back(run: Callable[..., Any], ctx: Any, of_out: Tensor | None, *_: Any) -> tuple:
    if of_out is None:
        return (None,) * 8
    return *run(of_out, *ctx.saved_tensors, ctx.is_grid), None, None


attended = operator("attention", run, fake, WayBack(keep, run_back, fake_back, back))
