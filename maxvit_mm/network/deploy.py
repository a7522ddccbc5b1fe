"""A trained trunk made faster for inference: norms folded into convolutions, biases read once.

The outputs are the same, to rounding.
"""

from __future__ import annotations

import json
from typing import TypeVar

import torch
from torch import Tensor, nn

from .attention import GroupAttention
from .mbconv import MBConv
from .opaque import BUILDERS
from .packed import keep_packed
from .trunk import MaxViTBlock, Stem
from .variants import Convention

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def deploy(network: Network) -> Network:
    """Fold every BatchNorm of a trunk or block, in place; keep relative-position biases and packed weights.

    It cannot be trained afterwards.
    """
    for module in network.modules():
        if isinstance(module, Stem):
            fold_backward(module.conv1, module.norm)
            module.norm = nn.Identity().eval()
        elif isinstance(module, MBConv):
            fold_forward(module.pre_norm, module.expand)
            fold_backward(module.expand, module.norm1)
            fold_backward(module.depthwise, module.norm2)
            module.pre_norm = module.norm1 = module.norm2 = nn.Identity().eval()
            keep_packed(module.expand, module.shrink)
        elif isinstance(module, GroupAttention):
            module.kept_biases = {}
        elif isinstance(module, nn.Linear):
            keep_packed(module)
        elif isinstance(module, MaxViTBlock):
            module.make = json.dumps([*json.loads(module.make)[:-1], True])
    return network.requires_grad_(False)


def build_block(
    inputs: int,
    outputs: int,
    stride: int,
    table_partition_size: int,
    eps: float,
    convention: list,
    is_deployed: bool,
) -> MaxViTBlock:
    """A block as its `make` says."""

    def norm(width: int) -> nn.Module:
        return nn.BatchNorm2d(width, eps=eps)

    block = MaxViTBlock(
        inputs, outputs, stride, table_partition_size, 0.0, norm=norm, convention=Convention(*convention)
    )
    if is_deployed:
        deploy(block)
        for module in block.modules():
            if isinstance(module, GroupAttention):
                module.kept_biases = None  # they are another block's at the next call
    return block


BUILDERS["block"] = build_block


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """A BatchNorm at its running statistics, as `scale * x + shift`, in fp64."""
    mean, variance, weight, bias = (
        getattr(norm, name).double() for name in ("running_mean", "running_var", "weight", "bias")
    )
    scale = weight / torch.sqrt(variance + norm.eps)
    return scale, bias - mean * scale


def fold_backward(convolution: nn.Conv2d, norm: nn.Module) -> None:
    """`norm(convolution(x))` as the convolution alone."""
    scale, shift = scale_and_shift(norm)
    if convolution.bias is not None:
        shift = shift + scale * convolution.bias.double()
    replace(convolution, convolution.weight.double() * scale[:, None, None, None], shift)


def fold_forward(norm: nn.Module, convolution: nn.Conv2d) -> None:
    """`convolution(norm(x))` as the convolution alone, a 1x1 without padding: a pad would not be shifted."""
    scale, shift = scale_and_shift(norm)
    weight = convolution.weight.double()
    replace(convolution, weight * scale[None, :, None, None], weight[:, :, 0, 0] @ shift)


def replace(convolution: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    kind = convolution.weight.dtype
    convolution.weight = nn.Parameter(weight.to(kind).contiguous(memory_format=torch.channels_last))
    convolution.bias = nn.Parameter(bias.to(kind))
