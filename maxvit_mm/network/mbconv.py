"""MBConv with squeeze-and-excitation: the convolutional half of a block."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from .stochastic_depth import StochasticDepth
from .variants import OFFICIAL, Convention

TF_MOMENTUM = 0.99  # share of the old statistic kept; PyTorch names the new one's share
BN_EPS, BN_MOMENTUM = 1e-3, 1 - TF_MOMENTUM

EXPANSION = 4  # middle width of an MBConv, in output widths
SQUEEZE = 4  # output widths in one squeezed width


def batch_norm(width: int) -> nn.Module:
    """BatchNorm as the official network sets it."""
    return nn.BatchNorm2d(width, eps=BN_EPS, momentum=BN_MOMENTUM)


class SameConv2d(nn.Conv2d):
    """A 3x3 convolution with ceil(n / stride) rows and columns out.

    TensorFlow's 'same' padding at stride 2: an even size is padded by 0 before and 1 after, an odd one by 1
    and 1. 'symmetric' pads by 1 and 1 always.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding: str = OFFICIAL.padding,
    ):
        super().__init__(inputs, outputs, 3, stride, padding=1, groups=groups, bias=bias)
        self.symmetric = stride == 1 or padding == "symmetric"

    def forward(self, x: Tensor) -> Tensor:
        if self.symmetric:
            return super().forward(x)
        height, width = x.shape[-2:]
        x = F.pad(x, (width % 2, 1, height % 2, 1))
        return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)


def average_pool(kernel: int) -> nn.Module:
    """The stride-2 average of a shortcut: ceil(n / 2) rows and columns out."""
    if kernel == 3:
        return nn.AvgPool2d(3, stride=2, padding=1)
    # ceil_mode reaches past the last odd row, and leaves what is not there out of the average
    return nn.AvgPool2d(2, ceil_mode=True)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from the mean of all. x: [b, c, height, width], same out."""

    def __init__(self, width: int, squeezed: int):
        super().__init__()
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = x.mean((2, 3), keepdim=True)
        return x * self.expand(F.silu(self.reduce(gate))).sigmoid()


class MBConv(nn.Module):
    """Pre-norm inverted bottleneck: the stride sits on the depthwise convolution.

    x: [b, inputs, height, width] -> [b, outputs, ceil(height / stride), ceil(width / stride)].
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        drop: float,
        norm: Callable[[int], nn.Module] = batch_norm,
        convention: Convention = OFFICIAL,
    ):
        super().__init__()
        middle = EXPANSION * outputs
        self.pre_norm = norm(inputs)
        self.expand = nn.Conv2d(inputs, middle, 1, bias=False)
        self.norm1 = norm(middle)
        self.depthwise = SameConv2d(
            middle, middle, stride, groups=middle, bias=False, padding=convention.padding
        )
        self.norm2 = norm(middle)
        self.se = SqueezeExcitation(middle, outputs // SQUEEZE)
        self.shrink = nn.Conv2d(middle, outputs, 1)
        self.pool = average_pool(convention.shortcut_pool) if stride == 2 else nn.Identity()
        projects = inputs != outputs or (stride == 2 and convention.shortcut_conv == "stride 2")
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if projects else nn.Identity()
        self.act = nn.GELU(approximate=convention.gelu)
        self.drop_path = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(self.pool(x))
        x = self.act(self.norm1(self.expand(self.pre_norm(x))))
        x = self.act(self.norm2(self.depthwise(x)))
        x = self.shrink(self.se(x))
        return shortcut + self.drop_path(x)
