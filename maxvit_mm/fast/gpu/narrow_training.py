"""`MBConv.narrow` with a backward pass to come, by kernels between the statistics and the products.

Two wide maps are kept: what the first norm is given, and what the second is. There are 8 reads and writes
of wide maps forward, 3 for the convolution with its statistics and 5 for the gate, and 12 backward, the
product's among them. Statistics are PyTorch's: of a batch, of several processes' (SyncBN), or running ones.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...network.attention import without_autocast
from ...network.mbconv import MBConv
from ..cpu.lean import backward_pass
from ..cpu.narrow import as_tokens, gate
from ..cpu.norm import Statistics, totals
from ..precision import in_precision


def train(layer: MBConv, x: Tensor) -> Tensor:
    """`MBConv.narrow`."""
    x, weight, bias = in_precision(x, layer.shrink.weight.flatten(1), layer.shrink.bias)
    se, norms = layer.se, (layer.norm1, layer.norm2)
    of_gate: list[Any] = [se.reduce.weight.flatten(1), se.reduce.bias]
    of_gate += [se.expand.weight.flatten(1), se.expand.bias]
    of_norms = [each for norm in norms for each in (norm.weight, norm.bias)]
    how = layer.depthwise.stride[0], *layer.depthwise.pad(x), layer.act.approximate == "tanh"
    with without_autocast(x):
        x = x.contiguous(memory_format=torch.channels_last)
        return _Narrow.apply(x, layer.depthwise.weight, weight, bias, norms, how, *of_norms, *of_gate)


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
        from .launch import narrow as launch

        how, (weight1, bias1, weight2, bias2, *of_gate) = launch.Geometry(*how), parameters
        taps = taps.contiguous()
        first, norm1 = at_statistics(launch.Norm, norms[0], x, weight1, bias1)
        z = launch.convolve(x, norm1, taps, how)
        second, norm2 = at_statistics(launch.Norm, norms[1], z, weight2, bias2)
        mean = launch.mean_of_gelu(z, norm2, how.tanh)
        factor = gate(mean.to(of_gate[0].dtype), *of_gate)
        y = launch.gated(z, norm2, factor, how.tanh)
        ctx.save_for_backward(
            x, z, taps, weight, mean, factor, *norm1, *norm2, first.variance, second.variance, *of_gate
        )
        ctx.rest = how, first[2:], second[2:]
        out = torch.nn.functional.linear(as_tokens(y), weight, bias)
        return out.view(len(z), *z.shape[2:], len(weight)).permute(0, 3, 1, 2)

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        from .launch import narrow as launch

        x, z, taps, weight, mean, factor, *rest = ctx.saved_tensors
        norm1, norm2, variances, of_gate = (
            launch.Norm(*rest[:3]),
            launch.Norm(*rest[3:6]),
            rest[6:8],
            rest[8:],
        )
        how, *others = ctx.rest
        first, second = (
            Statistics(norm.mean, variance, *other)
            for norm, variance, other in zip((norm1, norm2), variances, others, strict=True)
        )
        of_out = as_tokens(gradient.contiguous(memory_format=torch.channels_last))
        of_y = of_out @ weight
        y, sums = launch.gate_backward(of_y, z, norm2, factor, how.tanh)
        of_weight = of_out.t() @ as_tokens(y)
        del y
        by_gate, by_shift, by_scale, slopes, deviations = sums.unbind(1)
        with torch.enable_grad():
            leaves = [each.detach().requires_grad_() for each in (mean.to(of_gate[0].dtype), *of_gate)]
            of_mean, *of_gate = torch.autograd.grad(gate(*leaves), leaves, by_gate.to(factor.dtype))
        constant = of_mean.float() / z[0, 0].numel()  # what each place of an image adds to its gate
        of_bias2 = (factor * by_shift + constant * slopes).sum(0)
        of_weight2 = (factor * by_scale + constant * deviations).sum(0) * second.inverse()
        per_z, per_one = through_statistics(second, norm2, of_weight2, of_bias2, len(of_out))
        of_each = factor * norm2.scale, constant * norm2.scale, per_z, per_one
        g, sums = launch.convolve_backward(of_y, z, x, taps, norm1, norm2, of_each, how)
        of_bias1, of_weight1 = sums[9], sums[10] * first.inverse()
        per_x = through_statistics(first, norm1, of_weight1, of_bias1, len(as_tokens(x)))
        launch.through_norm(g, x, norm1.scale, *per_x)
        of_taps = sums[:9].t().reshape(taps.shape).to(taps.dtype)
        of_norms = of_weight1, of_bias1, of_weight2, of_bias2
        return g, of_taps, of_weight, of_out.sum(0), None, None, *of_norms, *of_gate


def at_statistics(kind: Any, norm: Any, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Statistics, Any]:
    """The statistics of a norm, and its numbers at them in fp32."""
    statistics = Statistics.of(norm, x)
    statistics = statistics._replace(mean=statistics.mean.float(), variance=statistics.variance.float())
    return statistics, kind(statistics.mean, *statistics.scale_and_shift(weight.float(), bias.float()))


def through_statistics(
    statistics: Statistics, norm: Any, of_weight: Tensor, of_bias: Tensor, tokens: int
) -> tuple[Tensor, Tensor]:
    """What the statistics of a batch add to the gradient of each value: so much by the value, and so much."""
    if not statistics.of_batch:
        return torch.zeros_like(norm.scale), torch.zeros_like(norm.scale)
    inverse = statistics.inverse()
    of_weight, of_bias, count = totals(statistics, of_weight, of_bias, tokens)
    per_x = -norm.scale * inverse * of_weight / count
    return per_x, -norm.scale * of_bias / count - per_x * norm.mean
