"""Attention straight on the map of queries, keys and values: groups are cut out and written back in pieces.

With a backward pass to come, the map alone is kept, none of the weights of the softmax; see `lean`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ...network.attention import PartitionAttention, without_autocast
from ...network.partition import Block, Grid
from ...network.relative_bias import at_least_fp32, relative_bias, resize_table
from .kept import bias_for
from .lean import aten, backward_pass
from .pieces import parts, pieces

FEW_TOKENS = 64  # in a group, up to which products one by one are faster in bf16 than PyTorch's attention
PARTITIONS = (Block, Grid)
Size = tuple[int, int]


def attend(layer: PartitionAttention, qkv: Tensor, size: Size) -> Tensor:
    """`PartitionAttention.attend` with a backward pass to come."""
    table = resize_table(layer.relative_position_bias_table, size)
    kind = PARTITIONS.index(layer.partition)
    biases = [relative_bias(table, *group).to(qkv.device) for group in group_sizes(qkv, kind, size)]
    with without_autocast(qkv):
        return _Attend.apply(qkv, layer.heads, kind, size, *biases)


def infer(layer: PartitionAttention, qkv: Tensor, size: Size) -> Tensor:
    """`PartitionAttention.attend` without gradients."""
    arguments = layer.heads, PARTITIONS.index(layer.partition), size, layer.deployed
    with without_autocast(qkv):
        if torch.compiler.is_compiling():
            return _attend(qkv, layer.relative_position_bias_table, *arguments)
        return run_attend(qkv, layer.relative_position_bias_table, *arguments)


def run_attend(qkv: Tensor, table: Tensor, heads: int, kind: int, size: Size, keep: bool) -> Tensor:
    """Attention of a map [b, height, width, 3 * heads * d] by tensors; out [b, height, width, heads * d]."""
    groups = group_sizes(qkv, kind, size)
    return attend_to_map(qkv, [bias_for(table, size, h, w, keep) for h, w in groups], heads, kind, size)


@torch.library.custom_op("maxvit_mm::attend", mutates_args=())
def _attend(qkv: Tensor, table: Tensor, heads: int, kind: int, size: Sequence[int], keep: bool) -> Tensor:
    """`run_attend` as compilers see it: one operator, so that a graph compiled for any size holds for all."""
    return run_attend(qkv, table, heads, kind, (size[0], size[1]), keep)


@_attend.register_fake
def _(qkv: Tensor, table: Tensor, heads: int, kind: int, size: Sequence[int], keep: bool) -> Tensor:
    return qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)


class _Attend(torch.autograd.Function):
    """With the biases, [heads, h * w, h * w], of the groups of each size, in the order of `parts`."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, kind: int, size: Size, *biases: Tensor) -> Tensor:
        ctx.save_for_backward(qkv, *biases)
        ctx.rest = heads, kind, size
        return attend_to_map(qkv, biases, heads, kind, size)

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        qkv, *biases = ctx.saved_tensors
        heads, kind, size = ctx.rest
        of_qkv = torch.empty_like(qkv)
        of_biases = [torch.zeros_like(bias) for bias in biases]
        maps = (list(parts(each, PARTITIONS[kind], size)) for each in (qkv, gradient, of_qkv))
        for part, of_out, of_part, bias, of_bias in zip(*maps, biases, of_biases, strict=True):
            for where in pieces(part, bytes_a_token(part, heads)):
                of_bias += attention_backward(part[where], bias, of_out[where], of_part[where])
        return of_qkv, None, None, None, *of_biases


def group_sizes(x: Tensor, kind: int, size: Size) -> Iterator[tuple[int, int]]:
    """The heights and widths of the groups of each size, in the order of `parts`."""
    for part in parts(x, PARTITIONS[kind], size):
        yield part.shape[2], part.shape[4]


def bytes_a_token(part: Tensor, heads: int) -> int:
    """Of queries, keys and values in fp32, or of the weights of the softmax, whichever is more."""
    return max(part.shape[-1], heads * part.shape[2] * part.shape[4]) * 4


def attend_to_map(qkv: Tensor, biases: Sequence[Tensor], heads: int, kind: int, size: Size) -> Tensor:
    out = qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)
    both = (parts(each, PARTITIONS[kind], size) for each in (qkv, out))
    for part, part_out, bias in zip(*both, biases, strict=True):
        for where in pieces(part, bytes_a_token(part, heads)):
            piece = part[where]
            groups = rearrange(piece, "b i h j w (t m d) -> t (b i j) m (h w) d", t=3, m=heads)
            attended = fused_attention(*at_least_fp32(groups), bias)
            b, i, h, j, *_ = piece.shape
            back = rearrange(attended, "(b i j) m (h w) d -> b i h j w (m d)", b=b, i=i, j=j, h=h)
            part_out[where].copy_(back)
    return out


def fused_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """`softmax(q k' / sqrt(d) + bias) v`. q, k, v: [groups, heads, n, d], bias: [heads, n, n]."""
    mask = bias.to(q.dtype).expand(len(q), -1, -1, -1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def attention_backward(piece: Tensor, bias: Tensor, of_out: Tensor, of_piece: Tensor) -> Tensor:
    """The way back through the attention of a piece of `qkv`, written into `of_piece`.

    Args:
        piece, of_piece: [b, i, h, j, w, 3 * heads * d].
        of_out: [b, i, h, j, w, heads * d].

    Returns:
        the gradient of the bias.
    """
    heads, n = bias.shape[:2]
    b, i, h, j, *_ = piece.shape
    q, k, v = rearrange(piece, "b i h j w (t m d) -> t (b i j m) (h w) d", t=3, m=heads).contiguous()
    g = rearrange(of_out, "b i h j w (m d) -> (b i j m) (h w) d", m=heads).to(piece.dtype)
    scale = q.shape[-1] ** -0.5
    logits = torch.bmm(at_least_fp32(q) * scale, at_least_fp32(k).transpose(1, 2)).view(-1, heads, n, n)
    weights = logits.add_(bias).softmax(-1)
    of_weights = torch.bmm(g, v.transpose(1, 2)).view_as(weights)
    of_logits = aten._softmax_backward_data(of_weights.to(weights.dtype), weights, -1, weights.dtype)
    of_bias = of_logits.sum(0)
    weights, of_logits = (each.to(q.dtype).flatten(0, 1) for each in (weights, of_logits))
    of_q = torch.bmm(of_logits, k).mul_(scale)
    of_k = torch.bmm(of_logits.transpose(1, 2), q).mul_(scale)
    of_v = torch.bmm(weights.transpose(1, 2), g)
    into = of_piece.unflatten(-1, (3, heads, -1))
    for place, gradient in enumerate((of_q, of_k, of_v)):
        back = rearrange(gradient, "(b i j m) (h w) d -> b i h j w m d", b=b, i=i, j=j, m=heads, h=h)
        into[..., place, :, :].copy_(back)
    return of_bias


def attend_to_groups(qkv: Tensor, bias: Tensor, exact: bool = True) -> Tensor:
    """The attention of groups, without gradients.

    The bias is added and the softmax taken in fp32, and the products too, but for few tokens in bf16,
    whose logits are rounded to bf16 unless they are to be `exact`.

    Args:
        qkv: [groups, n, 3 * heads * d].
        bias: [heads, n, n].

    Returns:
        [groups, n, heads * d].
    """
    heads, n = bias.shape[:2]
    if qkv.dtype == torch.bfloat16 and not exact and n <= FEW_TOKENS:
        return attention_by_products(qkv, bias)
    q, k, v = rearrange(at_least_fp32(qkv), "g n (t m d) -> t g m n d", t=3, m=heads)
    return rearrange(fused_attention(q, k, v, bias), "g m n d -> g n (m d)").to(qkv.dtype)


def attention_by_products(qkv: Tensor, bias: Tensor) -> Tensor:
    """Products one by one, in the precision of `qkv` as other MaxViTs have them: faster for few tokens."""
    heads = len(bias)
    q, k, v = rearrange(qkv, "g n (t m d) -> t (g m) n d", t=3, m=heads).contiguous()
    logits = torch.bmm(q, k.transpose(1, 2)).unflatten(0, (-1, heads))
    weights = torch.add(bias, logits, alpha=q.shape[-1] ** -0.5).softmax(-1)
    out = torch.bmm(weights.to(v.dtype).flatten(0, 1), v)
    return rearrange(out, "(g m) n d -> g n (m d)", m=heads)
