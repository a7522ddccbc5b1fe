"""Depthwise convolutions on a GPU go past cuDNN, to the kernel that PyTorch has of its own.

For each shape that it has not met, cuDNN compiles a kernel, which takes a second or more in training. A
detector meets another shape at nearly every step. PyTorch's kernel is one for all shapes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network.attention import without_autocast
from ..network.same_conv import DepthwiseConv2d
from .precision import in_precision

aten = torch.ops.aten
CUDNN_COMPILES = ("cuda",)  # devices on which a depthwise convolution is cuDNN's otherwise
_lock = threading.Lock()
_within, _before = 0, True  # calls within `past_cudnn`, and the setting before the first


def cudnn_compiles(x: Tensor, groups: int) -> bool:
    """Whether a convolution of `x` is a depthwise one that would be cuDNN's."""
    return groups > 1 and x.device.type in CUDNN_COMPILES


@contextmanager
def past_cudnn(x: Tensor, groups: int) -> Iterator[None]:
    """Within it, a depthwise convolution of `x` on a GPU is PyTorch's own.

    The way back through a convolution chooses anew. So it needs this as well. The setting is of the whole
    process: the last of several threads to leave restores it.
    """
    global _within, _before
    if not cudnn_compiles(x, groups):
        yield
        return
    with _lock:
        if _within == 0:
            _before = torch.backends.cudnn.enabled
            torch.backends.cudnn.enabled = False
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if _within == 0:
                torch.backends.cudnn.enabled = _before


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int], groups: int
) -> Tensor:
    """A 3x3 convolution of `x: [b, c, height, width]`, channels-last in memory as what is returned."""
    with past_cudnn(x, groups):
        out = F.conv2d(x, weight, bias, stride, padding, groups=groups)
    return out.contiguous(memory_format=torch.channels_last) if cudnn_compiles(x, groups) else out


def convolve_backward(
    of_out: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
    padding: tuple[int, int],
    groups: int,
    wanted: tuple[bool, bool, bool] = (True, True, False),
) -> tuple[Tensor, Tensor, Tensor]:
    """The way back through `convolve`: the gradients of `x`, weight and bias that are wanted."""
    of_bias = [len(weight)] if wanted[2] else None
    with past_cudnn(x, groups):
        return aten.convolution_backward(
            *(of_out, x, weight, of_bias, (stride, stride), padding, (1, 1)),
            *(False, (0, 0), groups, wanted),
        )


def depthwise(layer: DepthwiseConv2d, x: Tensor) -> Tensor:
    """`DepthwiseConv2d.forward`."""
    x, weight, bias = in_precision(x, layer.weight, layer.bias)
    padding = 1
    if not layer.symmetric:
        (above, left), padding = layer.pad(x), 0
        x = F.pad(x, (left, 1, above, 1))
    with without_autocast(x):
        return _depthwise(x, weight, bias, layer.stride[0], padding)


@torch.library.custom_op("maxvit_mm::depthwise", mutates_args=())
def _depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """`convolve` as autograd and compilers see it: one operator, whose backward pass goes the same way."""
    return convolve(x, weight, bias, stride, (padding, padding), len(weight))


@_depthwise.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    height, width = ((length + 2 * padding - 3) // stride + 1 for length in x.shape[2:])
    shape = len(x), len(weight), height, width
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


@torch.library.custom_op("maxvit_mm::depthwise_backward", mutates_args=())
def _depthwise_backward(
    of_out: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int
) -> tuple[Tensor, Tensor, Tensor]:
    geometry = stride, (padding, padding), len(weight)
    of_x, of_weight, of_bias = convolve_backward(of_out, x, weight, *geometry, (True, True, True))
    return of_x.contiguous(memory_format=torch.channels_last), of_weight.contiguous(), of_bias


@_depthwise_backward.register_fake
def _(of_out: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> tuple[Tensor, Tensor, Tensor]:
    of_x = torch.empty_like(x, memory_format=torch.channels_last)
    of_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
    return of_x, of_weight, weight.new_empty(len(weight))


def _keep(ctx: Any, inputs: tuple, output: Tensor) -> None:
    x, weight, bias, *ctx.geometry = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(x, weight)


def _back(ctx: Any, of_out: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    with without_autocast(of_out):
        of_x, of_weight, of_bias = _depthwise_backward(of_out, x, weight, *ctx.geometry)
    return of_x, of_weight, of_bias if ctx.has_bias else None, None, None


_depthwise.register_autograd(_back, setup_context=_keep)
