"""Maps of unknown size, which exporters have: cut into groups of one size, and joined again.

An exporter writes one graph for all sizes, and an axis of unknown length cannot be split by its length, as
`partition` does. Here every group has as many places as the partition, and `there` tells which of them hold a
token. To a compiler, each of the two is one operator, which need not reason about how many groups there are.
A partition that follows the size is unknown as well, and so is the bias that it reads: a third operator.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from .relative_bias import at_least_fp32, relative_bias, resize_table
from .twins import is_exporting

# By whether the partition is a grid: the axes of a map that was filled up, and those of its groups.
CUTS = {
    False: ("b (i h) (j w) c -> (b i j) (h w) c", "(b i j) (h w) c -> b (i h) (j w) c"),
    True: ("b (h i) (w j) c -> (b i j) (h w) c", "(b i j) (h w) c -> b (h i) (w j) c"),
}


def is_unknown(*lengths: int | torch.SymInt) -> bool:
    """Whether some of the lengths are an exporter's symbols."""
    return any(isinstance(length, torch.SymInt) for length in lengths) and is_exporting()


@torch.library.custom_op("maxvit_mm::cut", mutates_args=())
def cut(x: Tensor, grid: bool, h: int, w: int) -> tuple[Tensor, Tensor]:
    """The groups of a map, `[b, height, width, c]` -> `[b * i * j, h * w, c]`, and which places hold a token.

    Returns:
        the groups, with zeros where there is no token, and `there: [b * i * j, h * w]`.
    """
    b, height, width, _ = x.shape
    fill = (0, 0, 0, -width % w, 0, -height % h)
    there = F.pad(x.new_ones(b, height, width, 1), fill).bool()
    groups, tokens = (rearrange(each, CUTS[grid][0], h=h, w=w) for each in (F.pad(x, fill), there))
    return groups.contiguous(), tokens[..., 0].contiguous()


@cut.register_fake
def _(x: Tensor, grid: bool, h: int, w: int) -> tuple[Tensor, Tensor]:
    groups = torch.library.get_ctx().new_dynamic_size()
    return x.new_empty(groups, h * w, x.shape[-1]), x.new_empty(groups, h * w, dtype=torch.bool)


@torch.library.custom_op("maxvit_mm::join", mutates_args=())
def join(groups: Tensor, x: Tensor, grid: bool, h: int, w: int) -> Tensor:
    """A map as high and wide as `x` is, `[b, height, width, ...]`, from groups cut from such a one."""
    b, height, width = x.shape[:3]
    i, j = -(-height // h), -(-width // w)
    whole = rearrange(groups, CUTS[grid][1], b=b, i=i, j=j, h=h, w=w)
    return whole[:, :height, :width].clone(memory_format=torch.contiguous_format)


@join.register_fake
def _(groups: Tensor, x: Tensor, grid: bool, h: int, w: int) -> Tensor:
    return groups.new_empty(*x.shape[:3], groups.shape[-1])


@torch.library.custom_op("maxvit_mm::bias", mutates_args=())
def bias(table: Tensor, h: int, w: int) -> Tensor:
    """The bias of a partition of unknown size, `[heads, h * w, h * w]`, read from a table of any size."""
    return relative_bias(resize_table(table, (h, w)), h, w).contiguous()


@bias.register_fake
def _(table: Tensor, h: int, w: int) -> Tensor:
    return table.new_empty(table.shape[0], h * w, h * w, dtype=at_least_fp32(table).dtype)
