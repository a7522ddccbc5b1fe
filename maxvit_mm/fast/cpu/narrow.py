"""MBConv and stem with a backward pass to come, of which less is kept; see `lean`.

Maps are channels-last in memory, so that rows of an image, or several images whole, are consecutive tokens:
what acts on each place by itself takes `[tokens, c]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...network.attention import without_autocast
from ...network.mbconv import MBConv
from ...network.trunk import Stem
from ..depthwise import convolve, convolve_backward
from ..precision import in_precision
from .lean import add_product, backward_pass, gelu_and_back, gelu_into, total_of
from .norm import NormGradient, Statistics, affine
from .onednn import product
from .pieces import image_ranges
from .strips import strips


def stem(layer: Stem, images: Tensor) -> Tensor:
    """`Stem.forward`."""
    return norm_gelu_convolution(layer.conv1(images), layer.norm, layer.act, layer.conv2)


def narrow(layer: MBConv, x: Tensor) -> Tensor:
    """`MBConv.narrow`."""
    x = norm_gelu_convolution(x, layer.norm1, layer.act, layer.depthwise)
    return norm_gelu_gate_convolution(x, layer.norm2, layer.act, layer.se, layer.shrink)


class Geometry(NamedTuple):
    """How a GELU and the 3x3 convolution behind it take a map to the next."""

    size_out: torch.Size  # height and width of the map behind it
    stride: int
    groups: int
    pad: tuple[int, int]  # above and to the left; there is always one below and one to the right
    gelu: str

    @classmethod
    def of(cls, x: Tensor, gelu: Any, layer: Any) -> Geometry:
        stride = layer.stride[0]
        size_out = torch.Size(-(-length // stride) for length in x.shape[2:])
        return cls(size_out, stride, layer.groups, layer.pad(x), gelu.approximate)


def gelu_convolution(
    x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor | None, how: Geometry
) -> Tensor:
    """The convolution of `gelu(scale * x + shift)`. x: [b, c, height, width], channels-last in memory."""
    out: Tensor | None = None
    for strip in strips(x, how.stride, how.pad, x.shape[1]):
        padded, inside, padding = strip.room(x)
        gelu_into(inside.permute(0, 2, 3, 1), affine(as_tokens(x)[strip.tokens], scale, shift), how.gelu)
        part = convolve(padded, weight, bias, how.stride, padding, how.groups)
        if out is None and part.shape[2:] == how.size_out and len(part) == len(x):
            return part
        out = empty_map(x, len(weight), how.size_out) if out is None else out
        as_tokens(out)[strip.tokens_out] = part.permute(0, 2, 3, 1).flatten(0, 2)
    return empty_map(x, len(weight), how.size_out) if out is None else out


def gelu_convolution_backward(
    of_out: Tensor,
    norm: NormGradient,
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    weight: Tensor,
    how: Geometry,
) -> Tensor:
    """Through `gelu_convolution` of `x` into `norm`; returns the gradient of `weight`.

    Args:
        of_out: [tokens, c], the gradient of what the convolution returned.
    """
    of_weight, height = total_of(weight), x.shape[2]
    begun: Tensor | None = None  # what the rows that a strip shares with the next have got from it
    for strip in strips(x, how.stride, how.pad, x.shape[1]):
        padded, inside, padding = strip.room(x)
        normalised = affine(norm.x[strip.tokens], scale, shift)
        back = gelu_and_back(normalised, how.gelu, out=inside.permute(0, 2, 3, 1))
        of_part = of_out[strip.tokens_out].view(len(padded), -1, how.size_out[1], len(weight))
        of_padded, of_weight_here, _ = convolve_backward(
            of_part.permute(0, 3, 1, 2), padded, weight, how.stride, padding, how.groups
        )
        of_weight += of_weight_here
        of_hidden = strip.inside(of_padded).permute(0, 2, 3, 1)
        if begun is not None and strip.rows_out.start:
            of_hidden[:, : begun.shape[1]] += begun
        last = strip.rows_out.stop == how.size_out[0]
        stop = height if last else strip.rows_out.stop * how.stride - how.pad[0]
        done = stop - strip.rows.start
        begun = of_hidden[:, done:]
        some = slice(0, len(of_hidden) * done * strip.columns)
        there = slice(strip.tokens.start, strip.tokens.start + some.stop)
        back(of_hidden[:, :done], some, norm.of_normalised[there])
        norm.add(there)
    return of_weight.to(weight.dtype)


def norm_gelu_convolution(x: Tensor, norm: Any, gelu: Any, layer: Any) -> Tensor:
    """`layer(gelu(norm(x)))`, a 3x3 convolution; keeps `x`. [b, c, height, width] in and out."""
    operands = in_precision(layer.weight, layer.bias)
    with without_autocast(x):
        x = x.contiguous(memory_format=torch.channels_last)
        statistics, how = Statistics.of(norm, x), Geometry.of(x, gelu, layer)
        return _NormGELUConvolution.apply(x, norm.weight, norm.bias, *operands, statistics, how)


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
        how: Geometry,
    ) -> Tensor:
        affines = statistics.scale_and_shift(norm_weight, norm_bias)
        ctx.save_for_backward(x, weight, *affines, *statistics[:2])
        ctx.rest = statistics[2:], how, bias is not None
        return gelu_convolution(x, *affines, weight, bias, how)

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, weight, scale, shift, mean, variance = ctx.saved_tensors
        rest, how, has_bias = ctx.rest
        of_out = as_tokens(gradient.contiguous(memory_format=torch.channels_last))
        norm = NormGradient(Statistics(mean, variance, *rest), as_tokens(x), scale)
        of_weight = gelu_convolution_backward(of_out, norm, x, scale, shift, weight, how)
        of_bias = of_out.sum(0) if has_bias else None
        return *norm.finish(x), of_weight, of_bias, None, None


def norm_gelu_gate_convolution(x: Tensor, norm: Any, gelu: Any, excitation: Any, layer: Any) -> Tensor:
    """`layer(y * gate(mean of y))` with `y = gelu(norm(x))`, a 1x1 convolution; keeps `x`."""
    weight, bias = in_precision(layer.weight.flatten(1), layer.bias)
    of_gate = [
        *(excitation.reduce.weight.flatten(1), excitation.reduce.bias),
        *(excitation.expand.weight.flatten(1), excitation.expand.bias),
    ]
    with without_autocast(x):
        x = x.contiguous(memory_format=torch.channels_last)
        statistics = Statistics.of(norm, x)
        return _NormGELUGateConvolution.apply(
            *(x, norm.weight, norm.bias, weight, bias, statistics, gelu.approximate, *of_gate)
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
        affines = statistics.scale_and_shift(norm_weight, norm_bias)
        ctx.save_for_backward(x, weight, *affines, *statistics[:2], *of_gate)
        ctx.rest = statistics[2:], gelu
        out, tokens, per_image = empty_map(x, len(weight), x.shape[2:]), as_tokens(x), x.shape[2] * x.shape[3]
        for some in whole_images(x):
            y = affine(tokens[some], *affines)
            gelu_into(y, y, gelu)
            images = y.view(-1, per_image, y.shape[1])
            images *= gate(images.mean(1).to(of_gate[0].dtype), *of_gate).to(y.dtype)[:, None]
            torch.addmm(bias, y, weight.t(), out=as_tokens(out)[some])
        return out

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, weight, scale, shift, mean, variance, *of_gate = ctx.saved_tensors
        rest, gelu = ctx.rest
        of_out = as_tokens(gradient.contiguous(memory_format=torch.channels_last))
        norm = NormGradient(Statistics(mean, variance, *rest), as_tokens(x), scale)
        of_weight, per_image = total_of(weight), x.shape[2] * x.shape[3]
        of_gate = [parameter.detach().requires_grad_() for parameter in of_gate]
        of_gate_parameters = [torch.zeros_like(parameter) for parameter in of_gate]
        for some in whole_images(x):
            normalised = affine(norm.x[some], scale, shift)
            y = torch.empty_like(normalised)
            back = gelu_and_back(normalised, gelu, out=y)
            images = y.view(-1, per_image, y.shape[1])
            with torch.enable_grad():
                means = images.mean(1).to(of_gate[0].dtype).requires_grad_()
                gates = gate(means, *of_gate)
            factor = gates.detach().to(y.dtype)[:, None]
            add_product(of_weight, of_out[some].t(), (images * factor).view_as(y))
            of_y = product(of_out[some], weight.t())
            of_images = of_y.view_as(images)
            of_gates = images.mul_(of_images).sum(1).to(gates.dtype)
            of_means, *here = torch.autograd.grad(gates, [means, *of_gate], of_gates)
            for total, of_parameter in zip(of_gate_parameters, here, strict=True):
                total += of_parameter
            of_images.mul_(factor).add_((of_means / per_image).to(y.dtype)[:, None])
            back(of_y, slice(None), norm.of_normalised[some])
            norm.add(some)
        of_weight = of_weight.to(weight.dtype)
        return *norm.finish(x), of_weight, of_out.sum(0), None, None, *of_gate_parameters


def gate(mean: Tensor, reduce: Tensor, reduce_bias: Tensor, expand: Tensor, expand_bias: Tensor) -> Tensor:
    """That of a `SqueezeExcitation`, by its tensors. [b, c], same out."""
    return F.linear(F.silu(F.linear(mean, reduce, reduce_bias)), expand, expand_bias).sigmoid()


def whole_images(x: Tensor) -> Iterator[slice]:
    """The tokens of a map, image after image, several of small ones."""
    per_image = x.shape[2] * x.shape[3]
    for images in image_ranges(x):
        yield slice(images.start * per_image, images.stop * per_image)


def empty_map(x: Tensor, width: int, size: Sequence[int]) -> Tensor:
    """Memory for a map of the images of `x`."""
    return torch.empty(
        (len(x), width, *size), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )


def as_tokens(x: Tensor) -> Tensor:
    """A view of a map `[b, c, height, width]`, channels-last in memory, as `[tokens, c]`."""
    return x.permute(0, 2, 3, 1).view(-1, x.shape[1])
