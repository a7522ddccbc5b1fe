"""Linear layers and convolutions together with what follows them: a GELU, or the sum with a residual.

oneDNN computes both while a result is still in a register: PyTorch's own tanh-GELU takes as long as the
convolution before it. Its operators know neither gradients nor autocast.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .kept import packed

# What PyTorch's compiler fuses to on a CPU; a build without oneDNN has none of them.
ONEDNN = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name)
    for name in (
        *("_linear_pointwise", "_convolution_pointwise"),
        *("_reorder_linear_weight", "_is_mkldnn_bf16_supported"),
    )
)
BF16 = ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # it refuses where the processor has none


def is_in_onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes in that precision here."""
    return ONEDNN and (dtype == torch.float32 or (dtype == torch.bfloat16 and BF16))


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    gelu: str | None = None,
    residual: Tensor | None = None,
    keep: bool = False,
) -> Tensor:
    """A linear layer and its GELU, of that approximation, or plus `residual`.

    Args:
        x: [..., inputs].
        weight: [outputs, inputs], or a 1x1 convolution's; a view or not.
        residual: [..., outputs].
        keep: whether the weight is final, and its blocks may be kept.
    """
    matrix = packed(weight) if keep else weight.flatten(1)
    onednn = torch.ops.mkldnn._linear_pointwise
    if residual is not None:
        return onednn.binary(x, residual, matrix, bias, "add")
    return onednn(x, matrix, bias, *activation(gelu))


def pointwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gelu: str | None = None,
    residual: Tensor | None = None,
    keep: bool = False,
) -> Tensor:
    """The same for a 1x1 convolution of a map [b, c, height, width], channels-last in memory.

    With kept blocks a linear layer is faster, especially on small maps; without, a convolution. The oneDNN
    of torch 2.6 refuses to convolve some maps of one pixel, by their strides.
    """
    if keep or x.shape[2:].numel() == 1:
        rest = None if residual is None else residual.permute(0, 2, 3, 1)
        return linear(x.permute(0, 2, 3, 1), weight, bias, gelu, rest, keep).permute(0, 3, 1, 2)
    geometry = (0, 0), (1, 1), (1, 1), 1
    onednn = torch.ops.mkldnn._convolution_pointwise
    if residual is not None:
        return onednn.binary(x, residual, weight, bias, *geometry, "add", 1.0, None, [], None)
    return onednn(x, weight, bias, *geometry, *activation(gelu))


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: tuple[int, int], groups: int, gelu: str
) -> Tensor:
    """A convolution and its GELU. x: [b, c, height, width]."""
    geometry = padding, (stride, stride), (1, 1), groups
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *geometry, *activation(gelu))


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer by its tensors, on any device. x: [tokens, inputs], weight: [outputs, inputs]."""
    if x.device.type == "cpu" and len(x) and is_in_onednn(x.dtype):
        return linear(x, weight, bias)
    return F.linear(x, weight, bias)


def activation(gelu: str | None) -> tuple[str, list, str]:
    return ("none", [], "") if gelu is None else ("gelu", [], gelu)
