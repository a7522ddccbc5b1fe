"""Layers that keep less for the backward pass.

What is large and quick to compute, normalised maps, GELUs and attention's weights, is computed again from
what the product before it gave, which alone is kept. No convolution, linear layer or statistic is computed
twice. On a CPU both ways go in pieces that its caches hold.

Each has a plain twin, the modules in a row. It is taken where somebody else decides what is kept, as
compilers do, and for norms whose statistics are not of this process alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .fused import is_itself
from .pieces import is_whole

aten = torch.ops.aten
TANH_GELU = 2 * (2 / math.pi) ** 0.5, 2 * (2 / math.pi) ** 0.5 * 0.044715


def is_lean(*layers: nn.Module) -> bool:
    """Whether to keep less for a backward pass to come, through these layers."""
    return torch.is_grad_enabled() and not is_whole() and all(map(is_simple, layers))


def is_simple(layer: nn.Module) -> bool:
    """Whether a layer is what it is made lean as: with all its tensors, and nothing done to it."""
    if isinstance(layer, _BatchNorm):
        device = "" if layer.running_mean is None else layer.running_mean.device.type
        known = device in ("cpu", "cuda", "meta") and layer.track_running_stats and layer.affine
        if not known or layer.momentum is None or layer.num_batches_tracked is None:
            return False
    if isinstance(layer, nn.Linear) and layer.bias is None:
        return False
    return is_itself(layer)


def without_autocast(x: Tensor) -> AbstractContextManager:
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def in_precision(*operands: Tensor | None) -> list[Any]:
    """The operands of a product in the type that autocast, where it is on, would take it in."""
    device = next(operand.device.type for operand in operands if operand is not None)
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return list(operands)
    dtype = torch.get_autocast_dtype(device)
    return [None if operand is None else operand.to(dtype) for operand in operands]


def gelu_and_back(x: Tensor, gelu: str) -> tuple[Tensor, Callable[..., Tensor]]:
    """The GELU of `x`, and the way back through it: `back(gradient, rows, out=)` of rows along axis -2.

    PyTorch computes a hyperbolic tangent for each, slowly on CPUs. As `1 + tanh(u) = 2 sigmoid(2u)`, a GELU
    is `x * s` with `s = sigmoid(v)` and `v = 2u = x * (a + b * x^2)`; its slope `s * (1 + (1 - s) * x * v')`.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or gelu != "tanh":

        def back(gradient: Tensor, rows: slice, out: Tensor) -> Tensor:
            of = x[..., rows, :]
            return aten.gelu_backward.grad_input(gradient, of, approximate=gelu, grad_input=out)

        return F.gelu(x, approximate=gelu), back

    a, b = x.new_tensor(TANH_GELU[0]), TANH_GELU[1]
    square = x * x
    s = torch.add(a, square, alpha=b).mul_(x).sigmoid_()
    slope = torch.add(a, square, alpha=3 * b, out=square).mul_(x)
    slope.addcmul_(slope, s, value=-1)
    slope = torch.addcmul(s, s, slope, out=slope)

    def multiply(gradient: Tensor, rows: slice, out: Tensor) -> Tensor:
        return torch.mul(gradient, slope[..., rows, :], out=out)

    return s.mul_(x), multiply
