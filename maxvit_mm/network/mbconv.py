"""MBConv with squeeze-and-excitation: the convolutional half of a block."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from .fused import composed, convolution, is_itself
from .lean import is_lean
from .lean_mbconv import norm_gelu_convolution, norm_gelu_gate_convolution
from .pieces import in_pieces
from .same_conv import SameConv2d
from .stochastic_depth import StochasticDepth
from .strips import in_strips
from .variants import OFFICIAL, Convention

TF_MOMENTUM = 0.99  # share of the old statistic kept; PyTorch names the new one's share
BN_EPS, BN_MOMENTUM = 1e-3, 1 - TF_MOMENTUM

EXPANSION = 4  # middle width of an MBConv, in output widths
SQUEEZE = 4  # output widths in one squeezed width


def batch_norm(width: int) -> nn.Module:
    """BatchNorm as the official network sets it."""
    return nn.BatchNorm2d(width, eps=BN_EPS, momentum=BN_MOMENTUM)


def convolution_norm_gelu(
    x: Tensor, layer: nn.Conv2d, norm: nn.Module, gelu: nn.GELU, padding: tuple[int, int] | None = None
) -> Tensor:
    """The three in a row; at once where `norm` has been folded into `layer`."""
    if isinstance(norm, nn.Identity):
        return convolution(x, layer, gelu.approximate, padding=padding)
    return gelu(norm(convolution(x, layer, padding=padding)))


def average_pool(kernel: int) -> nn.Module:
    """The stride-2 average of a shortcut: ceil(n / 2) rows and columns out."""
    if kernel == 3:
        return nn.AvgPool2d(3, stride=2, padding=1)
    # ceil_mode reaches past the last odd row, and leaves what is not there out of the average
    return nn.AvgPool2d(2, ceil_mode=True)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from the mean of all.

    x: [b, c, height, width], same out. Without gradients `x` may be overwritten.
    """

    def __init__(self, width: int, squeezed: int):
        super().__init__()
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        # PyTorch takes the mean over two axes of a channels-last map slowly on CPUs: so rows go first
        rows = F.avg_pool2d(x, (1, x.shape[3])) if in_pieces(x) else x
        gate = self.gate(rows.mean((2, 3), keepdim=True))
        return x.mul_(gate) if in_pieces(x) else x * gate

    def gate(self, mean: Tensor) -> Tensor:
        """[b, c, 1, 1], same out, from 0 to 1."""
        return self.expand(F.silu(self.reduce(mean))).sigmoid()


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
        shortcut, drop = self.shortcut(self.pool(x)), self.drop_path.draw(x)
        if is_lean(*self.middle_layers()) and is_lean(self.shrink):
            x = self.expand(self.pre_norm(x))
            x = norm_gelu_convolution(x, self.norm1, self.act, self.depthwise)
            x = norm_gelu_gate_convolution(x, self.norm2, self.act, self.se, self.shrink)
            return composed(x, None, shortcut, drop)
        return convolution(self.se(self.middle(x)), self.shrink, residual=shortcut, drop=drop)

    def middle_layers(self) -> list[nn.Module]:
        """Those between the expansion and the last convolution."""
        return [
            *(self.norm1, self.act, self.depthwise, self.norm2),
            *(self.se, self.se.reduce, self.se.expand),
        ]

    def middle(self, x: Tensor) -> Tensor:
        """From the input to the squeeze-and-excitation: the widest part."""

        def expand(x: Tensor) -> Tensor:
            return convolution_norm_gelu(self.pre_norm(x), self.expand, self.norm1, self.act)

        def depthwise(x: Tensor, padding: tuple[int, int] | None = None) -> Tensor:
            return convolution_norm_gelu(x, self.depthwise, self.norm2, self.act, padding)

        trains = self.pre_norm.training or self.norm1.training or self.norm2.training
        if in_pieces(x) and not trains and is_itself(self.depthwise):
            layer = self.depthwise
            widths = layer.in_channels, layer.out_channels
            return in_strips(expand, depthwise, x, layer.stride[0], layer.pad(x), widths)
        return depthwise(expand(x))
