"""`MBConv.narrow` with a backward pass to come: kernels, and two products.

Two wide maps are kept: what the first norm is given, and what the second is. Forward, wide maps are read and
written 7 times: once for the first norm's statistics, twice for the convolution, which brings those of the
second, and four times for the gate and the product. Backward it is 12 times. With frozen statistics it is 6
and 9. Statistics are PyTorch's: of a batch, of several processes' (SyncBN), or running ones. What is of
channels and images alone goes through a kernel of its own, each way, instead of dozens of PyTorch's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...network.attention import without_autocast
from ...network.mbconv import MBConv
from ..cpu.lean import backward_pass
from ..cpu.norm import count_in
from ..precision import in_precision
from .narrow import tensors_of_gate
from .narrow_step import How, backward, forward, narrow_training


def train(layer: MBConv, x: Tensor) -> Tensor:
    """`MBConv.narrow`."""
    x, weight = in_precision(x, layer.shrink.weight.flatten(1))
    norms = layer.norm1, layer.norm2
    of_norms = [each for norm in norms for each in (norm.weight, norm.bias)]
    how = layer.depthwise.stride[0], *layer.depthwise.pad(x), layer.act.approximate == "tanh"
    with without_autocast(x):
        given = x, layer.depthwise.weight, weight, layer.shrink.bias
        of_gate = tensors_of_gate(layer.se)
        if torch.compiler.is_compiling():
            out, _, *numbers, _, _, _ = narrow_training(
                *given,
                [each for norm in norms for each in (norm.running_mean, norm.running_var)],
                *(of_norms, of_gate, [norm.eps for norm in norms], [norm.training for norm in norms], *how),
            )
            for norm, of_it, map_of_it in zip(norms, numbers, (x, out), strict=True):
                count(norm, of_it, map_of_it.numel() // map_of_it.shape[1])
            return out
        return _Narrow.apply(*given, norms, how, *of_norms, *of_gate)


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        taps: Tensor,
        weight: Tensor,
        bias: Tensor,
        norms: Any,
        how: How,
        *parameters: Tensor,
    ) -> Tensor:
        x, taps, of_gate = x.contiguous(memory_format=torch.channels_last), taps.contiguous(), parameters[4:]
        out, kept, sources = forward(x, taps, weight, bias, norms, how, of_gate, True)
        ctx.save_for_backward(x, taps, weight, *kept, *of_gate)
        ctx.rest = sources, how
        return out

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, taps, weight, *kept = ctx.saved_tensors
        given = gradient, x, taps, weight, kept[:-4], *ctx.rest, kept[-4:]
        *first, of_norms, of_gate = backward(*given)
        return *first, None, None, *of_norms, *of_gate


def count(norm: Any, numbers: Tensor, values: int) -> None:
    """Have a norm's running statistics take their share of those of a batch, of so many values a channel."""
    if norm.training:
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
            count_in(norm, numbers[0], numbers[1], values)
