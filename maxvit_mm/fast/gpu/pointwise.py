"""`PointwiseConv2d.forward` on a GPU, as a matrix product.

cuBLAS adds the bias in the kernel of the product, where cuDNN's convolution has PyTorch read and write the
map once more for it. And it makes no plan for each new size of an image.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ...network.same_conv import PointwiseConv2d


def pointwise(layer: PointwiseConv2d, x: Tensor) -> Tensor:
    """`PointwiseConv2d.forward`; what comes out is channels-last in memory."""
    tokens = x.permute(0, 2, 3, 1).contiguous()  # as it is, but of a map in another layout
    return F.linear(tokens, layer.weight.flatten(1), layer.bias).permute(0, 3, 1, 2)
