"""A block of MaxViT, and its stem, without gradients on a CPU: in pieces, by oneDNN.

A map goes through MBConv, attention and FFN some rows or groups at a time, and oneDNN computes a GELU or the
sum with a residual while its operand is in a register. BatchNorms are folded into the convolutions beside
them. Groups are cut out of the map and written back into it: of a map that is the block's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ...network.attention import FFN_EXPANSION, without_autocast
from ...network.deploy import fold_backward, fold_expand
from ...network.mbconv import MBConv
from ...network.partition import Block, Grid, Partition
from ...network.trunk import MaxViTBlock, Stem
from ..precision import precision_of
from . import onednn
from .attention import attend_to_groups
from .kept import bias_for
from .pieces import parts, pieces
from .strips import in_strips

GROUPS = "b i h j w c -> (b i j) (h w) c"
BACK = "(b i j) (h w) c -> b i h j w c"
OF_MBCONV, OF_ATTENTION = 10, 13  # tensors, without a shortcut's


class Make(NamedTuple):
    """What a block computes beside its tensors: plain values, for an operator."""

    stride: int
    symmetric: bool  # the padding of the depthwise convolution
    pool: int  # kernel of the shortcut's average; 0 without one
    gelu: str
    eps: float  # of the LayerNorms
    keep: bool  # whether the weights are final
    exact: bool  # whether attention's logits keep fp32 where the rest is in bf16


def block(layer: MaxViTBlock, x: Tensor, size: tuple[int, int]) -> Tensor:
    """`MaxViTBlock.forward`."""
    mbconv = layer.mbconv
    precision, stored = precision_of(x), mbconv.expand.weight.dtype
    make = Make(
        stride=mbconv.depthwise.stride[0],
        symmetric=mbconv.depthwise.symmetric,
        pool=getattr(mbconv.pool, "kernel_size", 0),
        gelu=mbconv.act.approximate,
        eps=layer.block_attention.norm1.eps,
        keep=layer.deployed and precision == stored,
        exact=precision != stored,
    )
    tensors = [*of_mbconv(mbconv), *of_attention(layer.block_attention), *of_attention(layer.grid_attention)]
    with without_autocast(x):
        if torch.compiler.is_compiling():
            return _block(x, tensors, size, precision, *make)
        return run_block(x, tensors, size, precision, make)


def of_mbconv(layer: MBConv) -> list[Tensor]:
    """The weights and biases of its convolutions, with its norms folded in."""
    if layer.deployed:
        both = [*tensors_of(layer.expand), *tensors_of(layer.depthwise)]
    else:
        both = [
            *fold_expand(layer, torch.float32),
            *fold_backward(layer.depthwise, layer.norm2, torch.float32),
        ]
        both = cast(both, layer.expand.weight.dtype)
    rest = (layer.se.reduce, layer.se.expand, layer.shrink, layer.shortcut)
    return [*both, *(tensor for each in rest for tensor in tensors_of(each))]


def tensors_of(layer: Any) -> list[Tensor]:
    """The weight and bias of a convolution; none of an identity."""
    return [] if isinstance(layer, nn.Identity) else [layer.weight, layer.bias]


def of_attention(layer: Any) -> list[Tensor]:
    """The tensors of an `AttentionAndFFN`."""
    attention, (expand, _, shrink) = layer.attention, layer.ffn
    return [
        *(layer.norm1.weight, layer.norm1.bias, attention.qkv.weight, attention.qkv.bias),
        *(attention.relative_position_bias_table, attention.out.weight, attention.out.bias),
        *(layer.norm2.weight, layer.norm2.bias, expand.weight, expand.bias, shrink.weight, shrink.bias),
    ]


def run_block(
    x: Tensor, tensors: Sequence[Tensor], size: tuple[int, int], precision: torch.dtype, make: Make
) -> Tensor:
    """A block by its tensors. x: [b, inputs, height, width], channels-last; same layout out."""
    first = len(tensors) - 2 * OF_ATTENTION
    x = run_mbconv(x.to(precision), cast(tensors[:first], precision), make)
    x = x.permute(0, 2, 3, 1)
    for partition, start in ((Block, first), (Grid, first + OF_ATTENTION)):
        x = run_attention(x, tensors[start : start + OF_ATTENTION], partition, size, precision, make)
    return x.permute(0, 3, 1, 2)


def cast(tensors: Sequence[Tensor], precision: torch.dtype) -> list[Tensor]:
    return [tensor.to(precision) for tensor in tensors]


def run_mbconv(x: Tensor, tensors: Sequence[Tensor], make: Make) -> Tensor:
    """An MBConv by its tensors, norms folded; the widest map is never whole."""
    expand, expand_bias, depthwise, depthwise_bias, *of_gate, shrink, shrink_bias = tensors[:OF_MBCONV]
    x = x.contiguous(memory_format=torch.channels_last)
    shortcut = x
    if make.pool == 2:
        shortcut = F.avg_pool2d(x, 2, ceil_mode=True)
    elif make.pool:
        shortcut = F.avg_pool2d(x, make.pool, stride=2, padding=1)
    if len(tensors) > OF_MBCONV:
        weight, bias = tensors[OF_MBCONV:]
        shortcut = onednn.pointwise(shortcut, weight, bias)

    def before(rows: Tensor) -> Tensor:
        return onednn.pointwise(rows, expand, expand_bias, make.gelu, keep=make.keep)

    def convolve(rows: Tensor, padding: tuple[int, int]) -> Tensor:
        geometry = make.stride, padding, len(depthwise), make.gelu
        return onednn.convolution(rows, depthwise, depthwise_bias, *geometry)

    pad = (1, 1) if make.symmetric else (x.shape[2] % 2, x.shape[3] % 2)
    wide = in_strips(before, convolve, x, make.stride, pad, (len(expand), len(depthwise)))
    wide.mul_(gate(wide, *of_gate))
    return onednn.pointwise(wide, shrink, shrink_bias, residual=shortcut, keep=make.keep)


def gate(x: Tensor, reduce: Tensor, reduce_bias: Tensor, expand: Tensor, expand_bias: Tensor) -> Tensor:
    """That of a `SqueezeExcitation`. [b, c, height, width] -> [b, c, 1, 1]."""
    # PyTorch takes the mean over two axes of a channels-last map slowly on CPUs: so rows go first
    mean = F.avg_pool2d(x, (1, x.shape[3])).mean((2, 3), keepdim=True)
    return F.conv2d(F.silu(F.conv2d(mean, reduce, reduce_bias)), expand, expand_bias).sigmoid()


def run_attention(
    x: Tensor,
    tensors: Sequence[Tensor],
    partition: Partition,
    size: tuple[int, int],
    precision: torch.dtype,
    make: Make,
) -> Tensor:
    """An `AttentionAndFFN` by its tensors, which overwrites the map. x: [b, height, width, c]."""
    norm1, norm1_bias, qkv, qkv_bias, table, out, out_bias = tensors[:7]
    norm2, norm2_bias, expand, expand_bias, shrink, shrink_bias = tensors[7:]
    if precision != qkv.dtype:
        qkv, qkv_bias, out, out_bias = cast((qkv, qkv_bias, out, out_bias), precision)
        expand, expand_bias, shrink, shrink_bias = cast((expand, expand_bias, shrink, shrink_bias), precision)
    width, keep = x.shape[-1:], make.keep
    for part in parts(x, partition, size):
        _, _, h, _, w, _ = part.shape
        bias = bias_for(table, size, h, w, keep)
        for where in pieces(part, FFN_EXPANSION * x.shape[-1] * x.element_size()):
            piece = part[where]
            groups = rearrange(piece, GROUPS)
            y = F.layer_norm(groups, width, norm1, norm1_bias, make.eps)
            y = attend_to_groups(onednn.linear(y, qkv, qkv_bias, keep=keep), bias, make.exact)
            groups = onednn.linear(y, out, out_bias, residual=groups, keep=keep)
            y = F.layer_norm(groups, width, norm2, norm2_bias, make.eps)
            y = onednn.linear(y, expand, expand_bias, make.gelu, keep=keep)
            groups = onednn.linear(y, shrink, shrink_bias, residual=groups, keep=keep)
            b, i, _, j, _, _ = piece.shape
            piece.copy_(rearrange(groups, BACK, b=b, i=i, j=j, h=h, w=w))
    return x


@torch.library.custom_op("maxvit_mm::block", mutates_args=())
def _block(
    x: Tensor,
    tensors: Sequence[Tensor],
    size: Sequence[int],
    precision: torch.dtype,
    stride: int,
    symmetric: bool,
    pool: int,
    gelu: str,
    eps: float,
    keep: bool,
    exact: bool,
) -> Tensor:
    """`run_block` as compilers see it: one operator, of which they know the shape alone.

    How a map falls into groups depends on its size in ways that a compiler would have to reason through,
    for minutes and again for other sizes. So a graph compiled for any size holds for all.
    """
    make = Make(stride, symmetric, pool, gelu, eps, keep, exact)
    return run_block(x, tensors, (size[0], size[1]), precision, make)


@_block.register_fake
def _(
    x: Tensor,
    tensors: Sequence[Tensor],
    size: Sequence[int],
    precision: torch.dtype,
    stride: int,
    *_: Any,
) -> Tensor:
    shape = len(x), len(tensors[8]), -(-x.shape[2] // stride), -(-x.shape[3] // stride)
    return torch.empty(shape, dtype=precision, device=x.device, memory_format=torch.channels_last)


def stem(layer: Stem, images: Tensor) -> Tensor:
    """`Stem.forward`."""
    precision, conv1, (weight2, bias2) = precision_of(images), layer.conv1, tensors_of(layer.conv2)
    weight, bias = tensors_of(conv1) if layer.deployed else fold_backward(conv1, layer.norm, torch.float32)
    with without_autocast(images):
        weight, bias, weight2, bias2 = cast((weight, bias, weight2, bias2), precision)

        def convolve(rows: Tensor, padding: tuple[int, int]) -> Tensor:
            return onednn.convolution(rows, weight, bias, 2, padding, 1, layer.act.approximate)

        widths = conv1.in_channels, conv1.out_channels
        x = in_strips(lambda x: x, convolve, images.to(precision), 2, conv1.pad(images), widths)
        return F.conv2d(x, weight2, bias2, padding=1)
