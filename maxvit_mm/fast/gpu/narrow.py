"""`MBConv.narrow` without gradients, in two passes: a kernel in Triton for all up to the gate, and a
product.

The kernel reads the widest map once and writes what the gate is to scale; it brings the sums that the gate
is computed from. The last convolution reads that once: where an image has more places than the convolution
has outputs the gate scales its weights, image by image, instead of the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...network.attention import without_autocast
from ...network.mbconv import MBConv, SqueezeExcitation
from ..cpu.narrow import as_tokens
from ..precision import in_precision
from .operators import operator


def infer(layer: MBConv, x: Tensor) -> Tensor:
    """`MBConv.narrow`."""
    x, weight, bias = in_precision(x, layer.shrink.weight.flatten(1), layer.shrink.bias)
    depthwise, se = layer.depthwise, layer.se
    with without_autocast(x):
        y, sums = norm_gelu_depthwise(
            *(x, depthwise.weight, depthwise.bias, numbers_of(layer.norm1), numbers_of(layer.norm2)),
            *(eps_of(layer.norm1), eps_of(layer.norm2), depthwise.stride[0]),
            *(*depthwise.pad(x), layer.act.approximate == "tanh"),
        )
        factor = gate(sums, y.shape[2] * y.shape[3], tensors_of_gate(se), y.dtype)
        return gated_product(y, factor, weight, bias)


def tensors_of_gate(se: SqueezeExcitation) -> list[Any]:
    """The weight and bias of its first product, then of its second."""
    return [
        *(se.reduce.weight.flatten(1).contiguous(), se.reduce.bias),
        *(se.expand.weight.flatten(1).contiguous(), se.expand.bias),
    ]


def gated_product(y: Tensor, factor: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1x1 convolution of `y * factor`.

    Args:
        y: [b, c, height, width], channels-last in memory, as what is returned.
        factor: [b, c], in the precision of `y`.
        weight: [outputs, c].
    """
    b, _, height, width = y.shape
    if height * width > len(weight):
        scaled = weight * factor[:, None]
        images = as_tokens(y).unflatten(0, (b, height * width))
        out = torch.baddbmm(bias, images, scaled.transpose(1, 2))
    else:
        gated = y * factor[..., None, None]
        out = nn.functional.linear(as_tokens(gated), weight, bias)
    return out.view(b, height, width, len(weight)).permute(0, 3, 1, 2)


def numbers_of(norm: nn.Module) -> list[Tensor]:
    """Of each channel; none where the norm has been folded."""
    if isinstance(norm, nn.Identity):
        return []
    return [norm.running_mean, norm.running_var, norm.weight, norm.bias]  # type: ignore[list-item]


def eps_of(norm: nn.Module) -> float:
    return float(getattr(norm, "eps", 0.0))


def run(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    norm1: Sequence[Tensor],
    norm2: Sequence[Tensor],
    eps1: float,
    eps2: float,
    stride: int,
    above: int,
    left: int,
    tanh: bool,
) -> tuple[Tensor, Tensor]:
    """Norm, GELU, depthwise 3x3 convolution, norm, GELU; and of each image and channel the sum, in fp32.

    Args:
        x: [b, c, height, width].
        norm1, norm2: `numbers_of` each, or of none.
        above, left: rows and columns of padding; there is always one below and to the right.

    Returns:
        [b, c, ceil(height / stride), ceil(width / stride)], channels-last in memory, and [b, c].
    """
    from .launch.depthwise import forward

    x = x.contiguous(memory_format=torch.channels_last)
    return forward(x, weight.contiguous(), bias, norm1, norm2, (eps1, eps2), stride, (above, left), tanh)


def fake(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    norm1: Sequence[Tensor],
    norm2: Sequence[Tensor],
    eps1: float,
    eps2: float,
    stride: int,
    above: int,
    left: int,
    tanh: bool,
) -> tuple[Tensor, Tensor]:
    b, c, height, width = x.shape
    shape = b, c, -(-height // stride), -(-width // stride)
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    return out, x.new_empty(b, c, dtype=torch.float32)


def run_gate(sums: Tensor, places: int, of_gate: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """The factors of a squeeze-excitation's gate, [b, c] in `dtype`, from the sums over so many places.

    Args:
        of_gate: `tensors_of_gate`.
    """
    from .launch.excitation import gate

    return gate(sums, places, of_gate, dtype)[0]


def fake_gate(sums: Tensor, places: int, of_gate: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    return sums.new_empty(sums.shape, dtype=dtype)


norm_gelu_depthwise = operator("norm_gelu_depthwise", run, fake)
gate = operator("gate", run_gate, fake_gate)
