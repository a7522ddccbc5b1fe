"""Linear layers and convolutions together with what follows them: a GELU, or the sum with a residual.

On a CPU, without gradients or inside the layers of `lean`, oneDNN computes both while a result is still in a
register: PyTorch's own tanh-GELU takes as long as the convolution before it. Elsewhere it is the plain
composition.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .packed import is_kept_packed, matrix
from .pieces import in_pieces

# What PyTorch's compiler fuses to on a CPU; a build without oneDNN has none of them.
ONEDNN = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name)
    for name in (
        *("_linear_pointwise", "_convolution_pointwise"),
        *("_reorder_linear_weight", "_is_mkldnn_bf16_supported"),
    )
)
BF16 = ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # it refuses where the processor has none


def by_onednn(x: Tensor) -> bool:
    """Whether to use oneDNN's own operators on `x`, which know neither gradients nor autocast."""
    return ONEDNN and in_pieces(x) and (x.dtype == torch.float32 or BF16)


def linear(
    x: Tensor,
    layer: nn.Linear,
    gelu: str | None = None,
    residual: Tensor | None = None,
    drop: Tensor | None = None,
) -> Tensor:
    """`layer(x)` and its GELU, of that approximation; or times `drop`, an image's factor, plus `residual`.

    x: [b, ..., inputs]; residual: [b, ..., outputs]; drop: [b, 1, 1, 1].
    """
    if drop is None and by_onednn(x) and is_itself(layer):
        return onednn_linear(x, matrix(layer), layer.bias, gelu, residual)
    return composed(layer(x), gelu, residual, drop)


def convolution(
    x: Tensor,
    layer: nn.Conv2d,
    gelu: str | None = None,
    residual: Tensor | None = None,
    drop: Tensor | None = None,
    padding: tuple[int, int] | None = None,
) -> Tensor:
    """The same for a convolution, with another padding than its own if told. x: [b, c, height, width]."""
    if padding is None and layer.kernel_size == (1, 1):
        padding = (0, 0)
    if padding is not None and drop is None and by_onednn(x) and is_itself(layer):
        if is_kept_packed(layer):
            rest = None if residual is None else residual.permute(0, 2, 3, 1)
            x = onednn_linear(x.permute(0, 2, 3, 1), matrix(layer), layer.bias, gelu, rest)
            return x.permute(0, 3, 1, 2)
        geometry = padding, layer.stride, layer.dilation, layer.groups
        onednn = torch.ops.mkldnn._convolution_pointwise
        if residual is not None:
            return onednn.binary(x, residual, layer.weight, layer.bias, *geometry, "add", 1.0, None, [], None)
        return onednn(x, layer.weight, layer.bias, *geometry, *activation(gelu))
    if padding is None or layer.kernel_size == (1, 1):
        x = layer(x)
    else:
        x = F.conv2d(x, layer.weight, layer.bias, layer.stride, padding, groups=layer.groups)
    return composed(x, gelu, residual, drop)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer by its tensors. x: [tokens, inputs], weight: [outputs, inputs], a view or not."""
    if by_onednn(x):
        return onednn_linear(x, weight, bias)
    return F.linear(x, weight, bias)


def onednn_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, gelu: str | None = None, residual: Tensor | None = None
) -> Tensor:
    onednn = torch.ops.mkldnn._linear_pointwise
    if residual is not None:
        return onednn.binary(x, residual, weight, bias, "add")
    return onednn(x, weight, bias, *activation(gelu))


def affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`scale * x + shift`, a number for each channel; of an `x` less precise than these, in theirs inside.

    x: [tokens, c].
    """
    if x.dtype == scale.dtype:
        return torch.addcmul(shift, x, scale)
    nothing, one = torch.zeros_like(scale), torch.ones_like(scale)
    return F.batch_norm(x, nothing, one, scale, shift, eps=0.0)


def is_itself(layer: nn.Module) -> bool:
    """Whether calling `layer` does what its weights say: nobody has adapted, wrapped or hooked it."""
    hooked = (
        layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks
    )
    known = type(layer).forward in KNOWN or type(layer).__module__.startswith(OURS)
    weights = all(type(weight) is nn.Parameter for weight in layer._parameters.values() if weight is not None)
    return known and weights and not hooked and "forward" not in layer.__dict__


KNOWN = {each.forward for each in (nn.Linear, nn.Conv2d, nn.BatchNorm2d, nn.GELU)}
OURS = __name__.rpartition(".")[0]


def composed(x: Tensor, gelu: str | None, residual: Tensor | None, drop: Tensor | None) -> Tensor:
    if gelu is not None:
        x = F.gelu(x, approximate=gelu)
    if drop is not None:
        x = x * drop
    return x if residual is None else residual + x


def activation(gelu: str | None) -> tuple[str, list, str]:
    return ("none", [], "") if gelu is None else ("gelu", [], gelu)
