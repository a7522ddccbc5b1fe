"""Attention inside the groups of a partition, and the feed-forward network that follows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .partition import Partition, over_groups
from .relative_bias import relative_bias, resize_table, table_shape
from .stochastic_depth import StochasticDepth
from .variants import HEAD_WIDTH, OFFICIAL


class PartitionAttention(nn.Module):
    """Multi-head attention among the tokens of each group, none of which sees another group.

    x: [b, height, width, width of the stage], same out.
    """

    def __init__(self, width: int, partition: Partition, table_partition_size: int):
        super().__init__()
        self.partition = partition
        self.heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width)
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros(self.heads, *table_shape(table_partition_size))
        )
        self.out = nn.Linear(width, width)
        self.kept_biases: dict[tuple, Tensor] | None = None  # a dict once deployed, when tables are fixed

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        bias = self.biases(size)

        def attend(qkv: Tensor, h: int, w: int) -> Tensor:
            q, k, v = rearrange(qkv, "g n (qkv m d) -> qkv g m n d", qkv=3, m=self.heads)
            return rearrange(attention(q, k, v, bias(h, w)), "g m n d -> g n (m d)")

        return self.out(over_groups(attend, self.qkv(x), self.partition, size))

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


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """`softmax(q k' / sqrt(d) + bias) v`, in fp32 whatever the precision of the rest.

    q, k, v: [groups, heads, tokens, d]; bias: [heads, tokens, tokens]; out as v.
    """
    device = q.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        out = F.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), attn_mask=bias.expand(len(q), -1, -1, -1)
        )
    return out.to(v.dtype)


class AttentionAndFFN(nn.Module):
    """Two pre-norm residuals: attention over one kind of partition, then the FFN.

    x: [b, height, width, width of the stage], same out.
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
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.attention = PartitionAttention(width, partition, table_partition_size)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.ffn = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate=gelu), nn.Linear(4 * width, width)
        )
        self.drop_path = StochasticDepth(drop)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = x + self.drop_path(self.attention(self.norm1(x), size))
        return x + self.drop_path(self.ffn(self.norm2(x)))
