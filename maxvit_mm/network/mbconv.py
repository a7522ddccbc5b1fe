"""MBConv with squeeze-and-excitation: the convolutional half of a block."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from .same_conv import DepthwiseConv2d, PointwiseConv2d
from .stochastic_depth import StochasticDepth
from .twins import Layer, has_fast_twin
from .variants import OFFICIAL, Convention

TF_MOMENTUM = 0.99  # share of the old statistic kept; PyTorch names the new one's share
BN_EPS, BN_MOMENTUM = 1e-3, 1 - TF_MOMENTUM

EXPANSION = 4  # middle width of an MBConv, in output widths
SQUEEZE = 4  # output widths in one squeezed width


def batch_norm(width: int) -> nn.Module:
    """BatchNorm as the official network sets it."""
    return nn.BatchNorm2d(width, eps=BN_EPS, momentum=BN_MOMENTUM)


def average_pool(kernel: int) -> nn.Module:
    """The stride-2 average of a shortcut: ceil(n / 2) rows and columns out."""
    if kernel == 3:
        return nn.AvgPool2d(3, stride=2, padding=1)
    # ceil_mode reaches past the last odd row, and leaves what is not there out of the average. Nothing is
    # padded, but where padding counts PyTorch's inductor gets gradients of odd sizes wrong.
    return nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)


class SqueezeExcitation(Layer):
    """Scale each channel by a gate computed from the mean of all. x: [b, c, height, width], same out."""

    def __init__(self, width: int, squeezed: int):
        super().__init__()
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return x * self.expand(F.silu(self.reduce(mean))).sigmoid()


class MBConv(Layer):
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
        self.expand = PointwiseConv2d(inputs, middle, 1, bias=False)
        self.norm1 = norm(middle)
        self.depthwise = DepthwiseConv2d(middle, stride, bias=False, padding=convention.padding)
        self.norm2 = norm(middle)
        self.se = SqueezeExcitation(middle, outputs // SQUEEZE)
        self.shrink = PointwiseConv2d(middle, outputs, 1)
        self.pool = average_pool(convention.shortcut_pool) if stride == 2 else nn.Identity()
        projects = inputs != outputs or (stride == 2 and convention.shortcut_conv == "stride 2")
        self.shortcut = PointwiseConv2d(inputs, outputs, 1) if projects else nn.Identity()
        self.act = nn.GELU(approximate=convention.gelu)
        self.drop_path = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch(x)
        return self.shortcut(self.pool(x)) + self.drop_path(branch)

    @has_fast_twin
    def branch(self, x: Tensor) -> Tensor:
        """All that is added to the shortcut."""
        return self.narrow(self.expand(self.pre_norm(x)))

    @has_fast_twin
    def narrow(self, x: Tensor) -> Tensor:
        """From the widest map, [b, 4 * outputs, height, width], to the branch that is added."""
        x = self.norm1(x)  # one step a line: a wide map is let go of as soon as the next is there
        x = self.act(x)
        x = self.depthwise(x)
        x = self.norm2(x)
        x = self.act(x)
        return self.shrink(self.se(x))
