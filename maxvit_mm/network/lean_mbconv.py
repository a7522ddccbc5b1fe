"""The layers of an MBConv that keep less for the backward pass; see `lean`."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .fused import affine, norm_gelu
from .lean import aten, gelu_and_back, in_precision, without_autocast
from .pieces import image_ranges, places
from .strips import in_strips, strips


class Statistics(NamedTuple):
    """What a BatchNorm normalises a map by, and whether it is the map's own, with gradients through it."""

    mean: Tensor
    variance: Tensor
    of_batch: bool
    eps: float

    @classmethod
    def of(cls, norm: Any, x: Tensor) -> Statistics:
        """Those of `x` while training, of which the running ones take their share; else the running ones."""
        running = norm.running_mean, norm.running_var
        if not norm.training:
            return cls(*running, False, norm.eps)
        if x.numel() == len(norm.running_mean):
            raise ValueError(
                f"a BatchNorm that trains needs more than one value a channel; got {list(x.shape)}: take "
                "larger images or batches, or norm_eval=True"
            )
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
            if x.device.type != "meta":
                return cls(*torch.batch_norm_update_stats(x, *running, norm.momentum), True, norm.eps)
            return cls(torch.empty_like(running[0]), torch.empty_like(running[1]), True, norm.eps)

    def scale_and_shift(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        scale = weight * (self.variance + self.eps).rsqrt()
        return scale, bias - self.mean * scale


class NormGradient:
    """The way back through a BatchNorm, a few images after another, and once they are all there for the rest.

    With `xhat = (x - mean) / deviation` and `m()` a mean over the batch, places included, the gradient of `x`
    is `scale * (g - m(g) - xhat * m(g * xhat))` (arXiv 1502.03167); of a constant mean, `scale * g`.
    """

    def __init__(self, statistics: Statistics, x: Tensor, scale: Tensor):
        self.statistics, self.x, self.scale = statistics, x, scale
        self.of_normalised = torch.empty_like(x)
        self.sum, self.sum_of_products = torch.zeros_like(scale), torch.zeros_like(scale)

    def add(self, there: Any, of_normalised: Tensor) -> None:
        """Count in that of the normalised map at some places, where `of_normalised` holds it already."""
        mean = self.statistics.mean.to(self.x.dtype)[:, None, None]
        centred = torch.sub(self.x[there], mean)
        self.sum += of_normalised.sum((0, 2, 3), dtype=self.scale.dtype)
        self.sum_of_products += centred.mul_(of_normalised).sum((0, 2, 3), dtype=self.scale.dtype)

    def finish(self) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of x, weight and bias."""
        mean, variance, of_batch, eps = self.statistics
        inverse = (variance + eps).rsqrt()
        # `add` took the mean in the precision of `x`
        self.sum_of_products += (mean.to(self.x.dtype).to(mean.dtype) - mean) * self.sum
        of_weight, of_x = self.sum_of_products * inverse, self.of_normalised
        per_x = per_one = torch.zeros_like(mean)
        if of_batch:
            count = self.x.numel() / len(mean)
            per_x = -self.scale * inverse * of_weight / count
            per_one = -self.scale * self.sum / count - per_x * mean
        scale = self.scale.to(of_x.dtype)[:, None, None]
        for there in places(self.x):
            if of_batch:
                torch.addcmul(affine(self.x[there], per_x, per_one), of_x[there], scale, out=of_x[there])
            else:
                of_x[there].mul_(scale)
        return of_x, of_weight, self.sum


def norm_gelu_convolution(
    x: Tensor, norm: Any, gelu: nn.GELU, layer: nn.Conv2d, pad: tuple[int, int]
) -> Tensor:
    """`layer(gelu(norm(x)))`, a 3x3 convolution that pads by `pad` before and by 1 after; keeps `x`."""
    statistics = Statistics.of(norm, x)
    operands = in_precision(layer.weight, layer.bias)
    with without_autocast(x):
        return _NormGELUConvolution.apply(
            x,
            norm.weight,
            norm.bias,
            *operands,
            statistics,
            gelu.approximate,
            (layer.stride, layer.groups, pad),
        )


class _NormGELUConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        statistics: Statistics,
        gelu: str,
        geometry: tuple,
    ) -> Tensor:
        scale, shift = statistics.scale_and_shift(norm_weight, norm_bias)
        ctx.save_for_backward(x, scale, shift, weight, *statistics[:2])
        ctx.rest = statistics[2:], gelu, geometry, bias is not None
        stride, groups, pad = geometry

        def before(x: Tensor) -> Tensor:
            return norm_gelu(x, scale, shift, gelu)

        def convolve(x: Tensor, padding: tuple[int, int]) -> Tensor:
            return F.conv2d(x, weight, bias, stride, padding, groups=groups)

        return in_strips(before, convolve, x, stride[0], pad, (x.shape[1], len(weight)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, scale, shift, weight, *found = ctx.saved_tensors
        rest, gelu, (stride, groups, pad), has_bias = ctx.rest
        of_norm = NormGradient(Statistics(*found, *rest), x, scale)
        of_weight = torch.zeros_like(weight)
        begun = None  # what the rows that a strip shares with the next have got from it
        for strip in strips(x, stride[0], pad, x.shape[1]):
            hidden, back = gelu_and_back(affine(x[strip.there], scale, shift), gelu)
            padded, padding = strip.padded(hidden)
            of_hidden, of_weight_here, _ = aten.convolution_backward(
                *(gradient[strip.back], padded, weight, None, stride, padding, (1, 1)),
                *(False, (0, 0), groups, (True, True, False)),
            )
            of_weight += of_weight_here
            of_hidden = strip.unpadded(of_hidden)
            if begun is not None and strip.rows_out.start:
                of_hidden[:, :, : begun.shape[2]] += begun
            last = strip.rows_out.stop == gradient.shape[2]
            stop = x.shape[2] if last else strip.rows_out.stop * stride[0] - pad[0]
            begun = of_hidden[:, :, stop - strip.rows.start :]
            there = (strip.images, slice(None), slice(strip.rows.start, stop))
            rows = slice(stop - strip.rows.start)
            of_norm.add(there, back(of_hidden[:, :, rows], rows, out=of_norm.of_normalised[there]))
        of_bias = gradient.sum((0, 2, 3)) if has_bias else None
        return *of_norm.finish(), of_weight, of_bias, None, None, None


def norm_gelu_gate_convolution(
    x: Tensor, norm: Any, gelu: nn.GELU, excitation: Any, layer: nn.Conv2d
) -> Tensor:
    """`layer(y * gate(mean of y))` with `y = gelu(norm(x))`, a 1x1 convolution; keeps `x`."""
    statistics = Statistics.of(norm, x)
    operands = in_precision(layer.weight, layer.bias)
    with without_autocast(x):
        return _NormGELUGateConvolution.apply(
            x,
            norm.weight,
            norm.bias,
            *operands,
            statistics,
            gelu.approximate,
            *(excitation.reduce.weight, excitation.reduce.bias),
            *(excitation.expand.weight, excitation.expand.bias),
        )


class _NormGELUGateConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        weight: Tensor,
        bias: Tensor,
        statistics: Statistics,
        gelu: str,
        *of_gate: Tensor,
    ) -> Tensor:
        scale, shift = statistics.scale_and_shift(norm_weight, norm_bias)
        ctx.save_for_backward(x, scale, shift, weight, *statistics[:2], *of_gate)
        ctx.rest = statistics[2:], gelu
        out: list[Tensor] = []
        for images in image_ranges(x):
            y = norm_gelu(x[images], scale, shift, gelu)
            mean = y.mean((2, 3), keepdim=True).to(of_gate[0].dtype)
            out.append(F.conv2d(y.mul_(gate(mean, *of_gate).to(y.dtype)), weight, bias))
        return concatenate(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, scale, shift, weight, mean, variance, *of_gate = ctx.saved_tensors
        rest, gelu = ctx.rest
        of_norm = NormGradient(Statistics(mean, variance, *rest), x, scale)
        of_weight = torch.zeros_like(weight)
        of_gate = [parameter.detach().requires_grad_() for parameter in of_gate]
        of_gate_parameters = [torch.zeros_like(parameter) for parameter in of_gate]
        for images in image_ranges(x):
            y, back = gelu_and_back(affine(x[images], scale, shift), gelu)
            with torch.enable_grad():
                mean = y.mean((2, 3), keepdim=True).to(of_gate[0].dtype).requires_grad_()
                gates = gate(mean, *of_gate)
            of_gated, of_weight_here, _ = aten.convolution_backward(
                *(gradient[images], y * gates.detach().to(y.dtype), weight, None, (1, 1), (0, 0), (1, 1)),
                *(False, (0, 0), 1, (True, True, False)),
            )
            of_weight += of_weight_here
            of_gates = y.mul_(of_gated).sum((2, 3), keepdim=True).to(gates.dtype)
            of_mean, *here = torch.autograd.grad(gates, [mean, *of_gate], of_gates)
            for total, of_parameter in zip(of_gate_parameters, here, strict=True):
                total += of_parameter
            of_y = of_gated.mul_(gates.detach()).add_(of_mean / (x.shape[2] * x.shape[3]))
            there = (images, slice(None), slice(None))
            of_norm.add(there, back(of_y, slice(None), out=of_norm.of_normalised[there]))
        of_bias = gradient.sum((0, 2, 3))
        return *of_norm.finish(), of_weight, of_bias, None, None, *of_gate_parameters


def gate(mean: Tensor, reduce: Tensor, reduce_bias: Tensor, expand: Tensor, expand_bias: Tensor) -> Tensor:
    """That of a `SqueezeExcitation`, by its tensors. [b, c, 1, 1], same out."""
    return F.conv2d(F.silu(F.conv2d(mean, reduce, reduce_bias)), expand, expand_bias).sigmoid()


def concatenate(tensors: list[Tensor]) -> Tensor:
    """`torch.cat` that does not copy a single tensor."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
