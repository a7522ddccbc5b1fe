"""`PartitionAttention.attend` by kernels in Triton, straight on the map of queries, keys and values.

Each way reads and writes a map once where a tile holds a group; nothing is cut out, joined or expanded. The
operator and its backward pass are each one to compilers, for images of all sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...network.attention import PartitionAttention
from ...network.partition import Grid
from ...network.relative_bias import resize_table
from .operators import WayBack, operator
from .tiles import is_small


def attend(layer: PartitionAttention, qkv: Tensor, size: tuple[int, int]) -> Tensor:
    """`PartitionAttention.attend`, with gradients and without."""
    table = resize_table(layer.relative_position_bias_table, size).to(torch.float32)
    return partition_attention(qkv, table, layer.partition is Grid, size)[0]


def run(qkv: Tensor, table: Tensor, is_grid: bool, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Attention of a map, and what its backward pass needs beside, which depends on the size of the groups.

    Args:
        qkv: [b, height, width, 3 * heads * 32].
        table: [heads, 2 * p - 1, 2 * q - 1] in fp32, for the partition `size` of (p, q).
        is_grid: whether groups are those of a grid, else windows.
    """
    from .launch.attention import forward

    return forward(qkv.contiguous(), table.contiguous(), is_grid, *size)


def fake(qkv: Tensor, table: Tensor, is_grid: bool, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    lse = table.new_empty(0 if is_small(*size) else (*qkv.shape[:3], len(table)))
    return qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3), lse


def run_back(
    of_out: Tensor, qkv: Tensor, table: Tensor, kept: Sequence[Tensor], is_grid: bool, of_table: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of `qkv` and, if `of_table`, of the table; `kept` is what came out, of large groups."""
    from .launch.attention import backward

    given = of_out.contiguous(), qkv.contiguous(), table.contiguous()
    return backward(*given, kept, is_grid, of_table)


def fake_back(
    of_out: Tensor, qkv: Tensor, table: Tensor, kept: Sequence[Tensor], is_grid: bool, of_table: bool
) -> tuple[Tensor, Tensor]:
    return qkv.new_empty(qkv.shape), table.new_empty(table.shape if of_table else 0)


def keep(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)  # what is kept has none, and zeros would be written for it
    qkv, table, ctx.is_grid, size = inputs
    ctx.save_for_backward(qkv, table, *(() if is_small(*size) else output))


def back(
    run: Callable[..., Any], ctx: Any, of_out: Tensor | None, _: Any
) -> tuple[Tensor | None, Tensor | None, None, None]:
    if of_out is None:
        return None, None, None, None
    qkv, table, *kept = ctx.saved_tensors
    wanted = ctx.needs_input_grad[1]
    of_qkv, of_table = run(of_out, qkv, table, kept, ctx.is_grid, wanted)
    return of_qkv, of_table if wanted else None, None, None


partition_attention = operator("partition_attention", run, fake, WayBack(keep, run_back, fake_back, back))
