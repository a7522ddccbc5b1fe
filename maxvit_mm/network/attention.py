"""Attention inside the groups of a partition, and the feed-forward network that follows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from .fused import composed, is_itself, linear
from .lean import is_lean
from .lean_attention import attention, biased_attention, linear_gelu_linear
from .opaque import BUILDERS, as_operator, is_opaque
from .partition import PARTITIONS, Partition, over_groups
from .relative_bias import relative_bias, resize_table, table_shape
from .stochastic_depth import StochasticDepth
from .variants import HEAD_WIDTH, OFFICIAL

FFN_EXPANSION = 4  # width between the FFN's two layers, in widths of the stage


class GroupAttention(nn.Module):
    """Multi-head attention among the tokens of each group, none of which sees another group.

    groups: [b, g, n, width], bias: [heads, n, n]; out as groups, dropped and added to `residual`.
    """

    def __init__(self, width: int, table_partition_size: int):
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width)
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros(self.heads, *table_shape(table_partition_size))
        )
        self.out = nn.Linear(width, width)
        self.kept_biases: dict[tuple, Tensor] | None = None  # a dict once deployed, when tables are fixed

    def forward(
        self, groups: Tensor, bias: Tensor, residual: Tensor | None = None, drop: Tensor | None = None
    ) -> Tensor:
        qkv = rearrange(linear(groups, self.qkv), "b g n (qkv m d) -> b g n qkv m d", qkv=3, m=self.heads)
        attend = biased_attention if is_lean() else attention
        out = rearrange(attend(qkv, bias), "b g n m d -> b g n (m d)")
        return linear(out, self.out, residual=residual, drop=drop)

    def biases(self, size: tuple[int, int]) -> Callable[[int, int], Tensor]:
        """The relative-position bias for groups of `h x w` in a partition of `size`."""
        if self.kept_biases is None:
            return partial(relative_bias, resize_table(self.relative_position_bias_table, size))
        kept, table = self.kept_biases, self.relative_position_bias_table

        def look_up(h: int, w: int) -> Tensor:
            key = (size, h, w, table.device)
            if key not in kept:
                # Those of one partition are small; a partition scaled with the image has large ones, which
                # another size of image would only add to.
                for other in [other for other in kept if other[0] != size]:
                    del kept[other]
                kept[key] = relative_bias(resize_table(table, size), h, w)
            return kept[key]

        return look_up


class FFN(nn.Sequential):
    """To four times the width and back. x: [b, ..., width]; out as x, dropped and added to `residual`."""

    def __init__(self, width: int, gelu: str):
        hidden = FFN_EXPANSION * width
        super().__init__(nn.Linear(width, hidden), nn.GELU(approximate=gelu), nn.Linear(hidden, width))

    def forward(self, x: Tensor, residual: Tensor | None = None, drop: Tensor | None = None) -> Tensor:
        expand, gelu, shrink = cast("Any", self)
        if not is_itself(gelu):
            return composed(shrink(gelu(expand(x))), None, residual, drop)
        if is_lean(expand, gelu, shrink):
            return composed(linear_gelu_linear(x, expand, gelu, shrink), None, residual, drop)
        return linear(linear(x, expand, gelu.approximate), shrink, residual=residual, drop=drop)


class AttentionAndFFN(nn.Module):
    """Two pre-norm residuals: attention over one kind of partition, then the FFN.

    x: [b, height, width, width of the stage], same out. Without gradients `x` may be overwritten.
    """

    def __init__(
        self,
        width: int,
        partition: Partition,
        table_partition_size: int,
        drop: float,
        gelu: str = OFFICIAL.gelu,
    ):
        super().__init__()
        self.partition = partition
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.attention = GroupAttention(width, table_partition_size)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.ffn = FFN(width, gelu)
        self.drop_path = StochasticDepth(drop)
        make = "attention", width, PARTITIONS.index(partition), table_partition_size, gelu
        self.make = json.dumps(make)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        if is_opaque(self):
            return as_operator(self, self.make, x, size, x.shape, channels_first=False)
        bias_for = self.attention.biases(size)
        drops = self.drop_path.draw(x), self.drop_path.draw(x)  # one for all groups of an image

        def layer_for(h: int, w: int) -> Callable[[Tensor], Tensor]:
            bias = bias_for(h, w)

            def layer(groups: Tensor) -> Tensor:
                groups = self.attention(self.norm1(groups), bias, residual=groups, drop=drops[0])
                return self.ffn(self.norm2(groups), residual=groups, drop=drops[1])

            return layer

        return over_groups(layer_for, x, self.partition, size, FFN_EXPANSION, whole=drops[0] is not None)


def build_attention(width: int, partition: int, table_partition_size: int, gelu: str) -> AttentionAndFFN:
    return AttentionAndFFN(width, PARTITIONS[partition], table_partition_size, 0.0, gelu)


BUILDERS["attention"] = build_attention
