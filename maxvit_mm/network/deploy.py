"""A trained trunk made faster for inference: norms folded into convolutions, biases read once.

The outputs are the same, to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention import PartitionAttention
from .mbconv import MBConv
from .trunk import Stem, Trunk


@torch.no_grad()
def deploy(trunk: Trunk) -> None:
    """Fold every BatchNorm of `trunk`, in place, and keep the relative-position biases between calls.

    It cannot be trained afterwards.
    """
    for module in trunk.modules():
        if isinstance(module, Stem):
            fold_backward(module.conv1, module.norm)
            module.norm = nn.Identity()
        elif isinstance(module, MBConv):
            fold_forward(module.pre_norm, module.expand)
            fold_backward(module.expand, module.norm1)
            fold_backward(module.depthwise, module.norm2)
            module.pre_norm = module.norm1 = module.norm2 = nn.Identity()
        elif isinstance(module, PartitionAttention):
            module.kept_biases = {}
    trunk.requires_grad_(False)


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
