"""A trained trunk made faster for inference: norms folded into convolutions.

The outputs are the same, to rounding.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from .mbconv import MBConv
from .trunk import Stem
from .twins import Layer

Network = TypeVar("Network", bound=nn.Module)
WeightAndBias = tuple[Tensor, Tensor]


@torch.no_grad()
def deploy(network: Network) -> Network:
    """Fold every BatchNorm of a trunk or block, in place, and declare its weights final.

    It cannot be trained afterwards.
    """
    for module in network.modules():
        if not isinstance(module, Layer) or module.deployed:
            continue
        if isinstance(module, Stem):
            replace(module.conv1, fold_backward(module.conv1, module.norm))
            module.norm = nn.Identity().eval()
        elif isinstance(module, MBConv):
            replace(module.expand, fold_expand(module))
            replace(module.depthwise, fold_backward(module.depthwise, module.norm2))
            module.pre_norm = module.norm1 = module.norm2 = nn.Identity().eval()
        module.deployed = True
    return network.requires_grad_(False)


def scale_and_shift(norm: nn.Module, precision: torch.dtype) -> WeightAndBias:
    """A BatchNorm at its running statistics, as `scale * x + shift`."""
    mean, variance, weight, bias = (
        getattr(norm, name).to(precision) for name in ("running_mean", "running_var", "weight", "bias")
    )
    scale = weight / torch.sqrt(variance + norm.eps)
    return scale, bias - mean * scale


def fold_backward(
    convolution: nn.Conv2d, norm: nn.Module, precision: torch.dtype = torch.float64
) -> WeightAndBias:
    """The weight and bias, in `precision`, of a convolution that is `norm(convolution(x))`."""
    scale, shift = scale_and_shift(norm, precision)
    if convolution.bias is not None:
        shift = shift + scale * convolution.bias.to(precision)
    return convolution.weight.to(precision) * scale[:, None, None, None], shift


def fold_expand(layer: MBConv, precision: torch.dtype = torch.float64) -> WeightAndBias:
    """The weight and bias, in `precision`, of a 1x1 convolution that is `norm1(expand(pre_norm(x)))`."""
    scale, shift = scale_and_shift(layer.norm1, precision)
    scale_before, shift_before = scale_and_shift(layer.pre_norm, precision)
    weight = layer.expand.weight.to(precision) * scale[:, None, None, None]
    if layer.expand.bias is not None:
        shift = shift + scale * layer.expand.bias.to(precision)
    return weight * scale_before[None, :, None, None], weight[:, :, 0, 0] @ shift_before + shift


def replace(convolution: nn.Conv2d, folded: WeightAndBias) -> None:
    kind, (weight, bias) = convolution.weight.dtype, folded
    convolution.weight = nn.Parameter(weight.to(kind).contiguous(memory_format=torch.channels_last))
    convolution.bias = nn.Parameter(bias.to(kind))
