"""`MBConv.branch` with a backward pass to come: kernels, and the products between them.

Two wide maps are kept: what the first norm is given, and what the second is. Forward, wide maps are read and
written 7 times: the first product writes one, the convolution reads it and writes another, with the second
norm's statistics, and four passes are the gate's and the last product's. Backward it is 11 times: a product
writes one, the gate reads two and writes one, which a product reads, the convolution reads three and writes
one, which two products read. The statistics of the first norm, both ways, come from the narrow map before the
first product (`kernels.product`). Statistics are PyTorch's: of a batch, of several processes' (SyncBN), or
running ones. What is of channels and images alone goes through kernels of its own, each way, instead of
dozens of PyTorch's.
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
from .branch_step import How, backward, forward, trained_branch
from .narrow import tensors_of_gate


def train(layer: MBConv, x: Tensor) -> Tensor:
    """`MBConv.branch`."""
    (n,) = in_precision(layer.pre_norm(x))
    norms = layer.norm1, layer.norm2
    of_norms = [each for norm in norms for each in (norm.weight, norm.bias)]
    how = layer.depthwise.stride[0], *layer.depthwise.pad(n), layer.act.approximate == "tanh"
    with without_autocast(n):
        expand, shrink = (each.weight.flatten(1).contiguous() for each in (layer.expand, layer.shrink))
        given = n, expand, layer.depthwise.weight, shrink, layer.shrink.bias
        of_gate = tensors_of_gate(layer.se)
        if torch.compiler.is_compiling():
            out, _, _, _, _, *numbers, _, _, _, _, _, _ = trained_branch(
                *given,
                [each for norm in norms for each in (norm.running_mean, norm.running_var)],
                *(of_norms, of_gate, [norm.eps for norm in norms], [norm.training for norm in norms], *how),
            )
            for norm, of_it, map_of_it in zip(norms, numbers, (n, out), strict=True):
                count(norm, of_it, map_of_it.numel() // map_of_it.shape[1])
            return out
        return _Branch.apply(*given, norms, how, *of_norms, *of_gate)


class _Branch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        n: Tensor,
        expand: Tensor,
        taps: Tensor,
        shrink: Tensor,
        bias: Tensor,
        norms: Any,
        how: How,
        *parameters: Tensor,
    ) -> Tensor:
        n, taps, of_gate = n.contiguous(memory_format=torch.channels_last), taps.contiguous(), parameters[4:]
        out, kept, sources = forward(n, expand, taps, shrink, bias, norms, how, of_gate, True)
        ctx.save_for_backward(n, taps, *kept, *of_gate)
        ctx.rest = sources, how
        return out

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        n, taps, *kept = ctx.saved_tensors
        given = gradient, n, taps, kept[:-4], *ctx.rest, kept[-4:]
        *first, of_norms, of_gate = backward(*given)
        return *first, None, None, *of_norms, *of_gate


def count(norm: Any, numbers: Tensor, values: int) -> None:
    """Have a norm's running statistics take their share of those of a batch, of so many values a channel."""
    if norm.training:
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
            count_in(norm, numbers[0], numbers[1], values)
