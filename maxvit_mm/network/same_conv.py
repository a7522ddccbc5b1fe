"""The convolutions of a block: 3x3, padded as TensorFlow pads them, and 1x1."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .twins import Layer, has_fast_twin
from .variants import OFFICIAL


class SameConv2d(nn.Conv2d, Layer):
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
            return nn.Conv2d.forward(self, x)
        above, left = self.pad(x)
        return F.conv2d(
            F.pad(x, (left, 1, above, 1)), self.weight, self.bias, self.stride, groups=self.groups
        )

    def pad(self, x: Tensor) -> tuple[int, int]:
        """Rows above and columns to the left of `x` to pad; there is always one below and to the right."""
        return (1, 1) if self.symmetric else (x.shape[2] % 2, x.shape[3] % 2)


class DepthwiseConv2d(SameConv2d):
    """One of these filters a channel. [b, c, height, width], the same c out."""

    def __init__(self, width: int, stride: int, bias: bool = True, padding: str = OFFICIAL.padding):
        super().__init__(width, width, stride, groups=width, bias=bias, padding=padding)

    @has_fast_twin
    def forward(self, x: Tensor) -> Tensor:
        return SameConv2d.forward(self, x)


class PointwiseConv2d(nn.Conv2d, Layer):
    """A 1x1 convolution. [b, inputs, height, width] -> [b, outputs, height, width].

    It is made as `nn.Conv2d` is: adapters make others of the class that they find.
    """

    @has_fast_twin
    def forward(self, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(self, x)
