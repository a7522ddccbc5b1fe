"""What the layers that keep less for the backward pass have in common.

What is large and quick to compute, normalised maps, GELUs and attention's weights, is computed again from
what the product before it gave, which alone is kept. No convolution or linear layer over a map is computed
twice, nor a statistic of a batch. On a CPU both ways go in pieces that its caches hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...network.attention import without_autocast

aten = torch.ops.aten
GELU_A, GELU_B = 2 * (2 / math.pi) ** 0.5, 2 * (2 / math.pi) ** 0.5 * 0.044715  # see `gelu_into`


def backward_pass(backward: Callable[..., tuple]) -> Callable[..., tuple]:
    """A `backward` that is not differentiable itself, in the precision of its forward pass."""

    @once_differentiable
    @wraps(backward)
    def in_that_precision(ctx: Any, gradient: Tensor, *others: Tensor) -> tuple:
        with without_autocast(gradient):
            return backward(ctx, gradient, *others)

    return in_that_precision


def total_of(parameter: Tensor) -> Tensor:
    """Zeros to add the gradients of pieces to, which lower precisions would round once for each."""
    return torch.zeros_like(parameter, dtype=torch.promote_types(parameter.dtype, torch.float32))


def add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Add `a @ b` to a `total_of`."""
    if total.dtype == a.dtype:
        total.addmm_(a, b)
    else:
        total += a @ b


def gelu_into(out: Tensor, x: Tensor, gelu: str) -> None:
    """Write the GELU of `x` into `out`, of as many numbers; it may be `x`.

    PyTorch computes a hyperbolic tangent for each, slowly on CPUs. As `1 + tanh(u) = 2 sigmoid(2u)`, a GELU
    is `x * s` with `s = sigmoid(v)` and `v = 2u = x * (a + b * x^2)`.
    """
    if is_composed(x, gelu):
        torch.mul(x.view(out.shape), v_of_gelu(x).sigmoid_().view(out.shape), out=out)
    else:
        aten.gelu.out(x.view(out.shape), approximate=gelu, out=out)


def gelu_and_back(x: Tensor, gelu: str, out: Tensor) -> Callable[[Tensor, slice, Tensor], None]:
    """Write the GELU of `x` into `out`, of as many numbers; returns the way back through it.

    Returns:
        `back(gradient, some, of_x)` writes the gradient of `x[some]` into `of_x`, of as many numbers as
        `gradient`. With `s` and `v` of `gelu_into`, it is the gradient times `s + s * (1 - s) * x * v'`.
    """
    if not is_composed(x, gelu):
        aten.gelu.out(x.view(out.shape), approximate=gelu, out=out)

        def back(gradient: Tensor, some: slice, of_x: Tensor) -> None:
            shape = gradient.shape
            aten.gelu_backward.grad_input(
                gradient, x[some].view(shape), approximate=gelu, grad_input=of_x.view(shape)
            )

        return back

    v = v_of_gelu(x)
    s = v.sigmoid()
    slope = v.sub_(x, alpha=2 * GELU_A / 3)  # a third of x * v', which is 3 * v - 2 * a * x
    slope = aten.sigmoid_backward.grad_input(slope, s, grad_input=slope)
    torch.add(s, slope, alpha=3, out=slope)
    torch.mul(x.view(out.shape), s.view(out.shape), out=out)

    def multiply(gradient: Tensor, some: slice, of_x: Tensor) -> None:
        torch.mul(gradient, slope[some].view(gradient.shape), out=of_x.view(gradient.shape))

    return multiply


def is_composed(x: Tensor, gelu: str) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and gelu == "tanh"


def v_of_gelu(x: Tensor) -> Tensor:
    """`v` of `gelu_into`."""
    return torch.rsub(x * x, GELU_A, alpha=-GELU_B).mul_(x)
