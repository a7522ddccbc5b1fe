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
from ..cpu.narrow import as_tokens
from ..precision import in_precision
from .narrow import tensors_of_gate


def train(layer: MBConv, x: Tensor) -> Tensor:
    """`MBConv.narrow`."""
    x, weight = in_precision(x, layer.shrink.weight.flatten(1))
    norms = layer.norm1, layer.norm2
    of_norms = [each for norm in norms for each in (norm.weight, norm.bias)]
    how = layer.depthwise.stride[0], *layer.depthwise.pad(x), layer.act.approximate == "tanh"
    with without_autocast(x):
        x = x.contiguous(memory_format=torch.channels_last)
        taps, of_gate = layer.depthwise.weight, tensors_of_gate(layer.se)
        return _Narrow.apply(x, taps, weight, layer.shrink.bias, norms, how, *of_norms, *of_gate)


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        taps: Tensor,
        weight: Tensor,
        bias: Tensor,
        norms: Any,
        how: Any,
        *parameters: Tensor,
    ) -> Tensor:
        from .launch import excitation
        from .launch import narrow as launch
        from .norm import at_statistics

        how, of_gate, taps = launch.Geometry(*how), parameters[4:], taps.contiguous()
        numbers1, source1 = at_statistics(norms[0], x)
        z, found = launch.convolve(x, launch.Norm(*numbers1), taps, how)
        numbers2, source2 = at_statistics(norms[1], z, found)
        norm2 = launch.Norm(*numbers2)
        sums, places = launch.sum_of_gelu(z, norm2, how.tanh), z.shape[2] * z.shape[3]
        factor, mean, r = excitation.gate(sums, places, of_gate, torch.float32)
        y = launch.gated(z, norm2, factor, how.tanh)
        ctx.save_for_backward(x, z, taps, weight, numbers1, numbers2, factor, mean, r, *of_gate)
        ctx.rest = how, source1, source2
        out = torch.nn.functional.linear(as_tokens(y), weight, bias.to(y.dtype))
        return out.view(len(z), *z.shape[2:], len(weight)).permute(0, 3, 1, 2)

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        from .launch import excitation
        from .launch import narrow as launch
        from .launch.statistics import of_first_norm
        from .norm import through_statistics

        x, z, taps, weight, numbers1, numbers2, factor, mean, r, *of_gate = ctx.saved_tensors
        how, source1, source2 = ctx.rest
        norm1, norm2 = launch.Norm(*numbers1), launch.Norm(*numbers2)
        of_out = as_tokens(gradient.contiguous(memory_format=torch.channels_last))
        of_y = of_out @ weight
        y, sums = launch.gate_backward(of_y, z, norm2, factor, how.tanh)
        of_weight = of_out.t() @ as_tokens(y)
        del y
        places = z.shape[2] * z.shape[3]
        given = sums, factor, mean, r, of_gate, norm2, places
        of_gate, of_norm2, (*by_image, per_z, per_one) = excitation.gate_backward(*given, source2.of_batch)
        per_one_z = through_statistics(source2, norm2, of_norm2, [per_z, per_one])
        of_each, frozen = (*by_image, *per_one_z), not source1.of_batch
        g, sums = launch.convolve_backward(of_y, z, x, taps, norm1, norm2, of_each, how, frozen)
        values = len(x) * x.shape[2] * x.shape[3]
        of_taps, *of_norm1, per_x, per_one = of_first_norm(sums, norm1, taps, values, not frozen)
        if not frozen:
            per_x, per_one = through_statistics(source1, norm1, of_norm1, [per_x, per_one])
            launch.through_norm(g, x, norm1.scale, per_x, per_one)
        of_bias = of_out.sum(0, dtype=torch.float32)
        return g, of_taps, of_weight, of_bias, None, None, *of_norm1, *of_norm2, *of_gate
