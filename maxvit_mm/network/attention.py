"""Attention inside the groups of a partition, and the feed-forward network that follows it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .partition import Partition, over_groups
from .places import bias as bias_of_unknown
from .places import is_unknown
from .relative_bias import at_least_fp32, relative_bias, resize_table, table_shape
from .stochastic_depth import StochasticDepth
from .twins import Layer, has_fast_twin
from .variants import HEAD_WIDTH, OFFICIAL

FFN_EXPANSION = 4  # width between the FFN's two layers, in widths of the stage


class PartitionAttention(Layer):
    """Multi-head attention among the tokens of each group, none of which sees another group.

    x: [b, height, width, width of the stage], same out. size: of the partition, down and across.
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

    @has_fast_twin
    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return self.out(self.attend(self.qkv(x), size))

    @has_fast_twin
    def attend(self, qkv: Tensor, size: tuple[int, int]) -> Tensor:
        """Queries, keys and values, [b, height, width, 3 * width of the stage], to their attention."""
        table: Tensor = self.relative_position_bias_table
        if not is_unknown(*size):
            table = resize_table(table, size)
        return over_groups(partial(attention, table), qkv, self.partition, size)


def attention(table: Tensor, qkv: Tensor, h: int, w: int, there: Tensor | None = None) -> Tensor:
    """`softmax(q k' / sqrt(d) + bias) v` in groups of `h x w`, in fp32 where the rest is in less.

    Args:
        table: [heads, 2P - 1, 2Q - 1], for the partition; of one of unknown size, as it is stored.
        qkv: [groups, h * w, 3 * heads * d].
        there: [groups, h * w], which places hold a token, where not all do.

    Returns:
        [groups, h * w, heads * d], in the precision of `qkv`.
    """
    q, k, v = rearrange(at_least_fp32(qkv), "g n (qkv m d) -> qkv g m n d", qkv=3, m=len(table))
    read = bias_of_unknown if is_unknown(h, w) else relative_bias
    bias = read(table, h, w).to(q.dtype)
    if there is not None:
        # Written out, as graphs have it. A place without a token is seen by none.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias
        out = scores.masked_fill(~there[:, None, None], -torch.inf).softmax(-1) @ v
        return rearrange(out, "g m n d -> g n (m d)").to(qkv.dtype)
    with without_autocast(q):
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(len(q), -1, -1, -1))
    return rearrange(out, "g m n d -> g n (m d)").to(qkv.dtype)


@torch.compiler.assume_constant_result  # older compilers cannot trace it
def has_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Within it, mixed precision leaves operands like `x` as they are."""
    device = x.device.type
    is_on = has_autocast(device) and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if is_on else nullcontext()


class FFN(nn.Sequential, Layer):
    """To four times the width and back. x: [b, ..., width], same out."""

    def __init__(self, width: int, gelu: str):
        hidden = FFN_EXPANSION * width
        super().__init__(nn.Linear(width, hidden), nn.GELU(approximate=gelu), nn.Linear(hidden, width))

    @has_fast_twin
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class AttentionAndFFN(Layer):
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
        self.ffn = FFN(width, gelu)
        self.drop_path = StochasticDepth(drop)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = x + self.drop_path(self.attention(self.norm1(x), size))
        return x + self.drop_path(self.ffn(self.norm2(x)))
