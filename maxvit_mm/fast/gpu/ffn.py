"""`FFN.forward` on a GPU.

Without gradients the wide map is written once and read once: the GELU comes behind the product in the same
kernel, which cuBLASLt has for its tanh form, or in place. With a backward pass to come the map before the
GELU is kept. Forward, wide maps are read and written 4 times. Backward it is 7 times: the product that the
gradient comes from, one pass by a kernel in Triton that computes the GELU again and goes through it (4), and
the reads of the products behind.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ...network.attention import FFN, without_autocast
from ..cpu.lean import backward_pass
from ..precision import in_precision

aten = torch.ops.aten


def infer(layer: FFN, x: Tensor) -> Tensor:
    """`FFN.forward`."""
    first, gelu, second = cast("Any", layer)
    x, weight1, bias1, weight2, bias2 = in_precision(x, first.weight, first.bias, second.weight, second.bias)
    with without_autocast(x):
        hidden = product_and_gelu(x.flatten(0, -2), weight1, bias1, gelu.approximate)
        return torch.addmm(bias2, hidden, weight2.t()).view(*x.shape[:-1], len(bias2))


def product_and_gelu(x: Tensor, weight: Tensor, bias: Tensor, gelu: str) -> Tensor:
    """The GELU of `x @ weight.T + bias`. x: [tokens, c]."""
    if x.is_cuda and gelu == "tanh":  # on a CPU that operator has the exact form
        return aten._addmm_activation(bias, x, weight.t(), use_gelu=True)
    return aten.gelu_(torch.addmm(bias, x, weight.t()), approximate=gelu)


def train(layer: FFN, x: Tensor) -> Tensor:
    """`FFN.forward`; keeps `x` and what the GELU is of."""
    first, gelu, second = cast("Any", layer)
    weights = first.weight, first.bias, second.weight, second.bias
    with without_autocast(x):
        return _FFN.apply(*in_precision(x), *weights, gelu.approximate)


class _FFN(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, gelu: str
    ) -> Tensor:
        tokens = x.flatten(0, -2)
        # Cast in here, so that gradients that are summed in fp32 need no cast, nor lose anything to one.
        weight1, bias1, weight2, bias2 = (each.to(x.dtype) for each in (weight1, bias1, weight2, bias2))
        z = torch.addmm(bias1, tokens, weight1.t())
        hidden = aten.gelu(z, approximate=gelu)
        ctx.save_for_backward(tokens, z, weight1, weight2)
        ctx.gelu = gelu
        return torch.addmm(bias2, hidden, weight2.t()).view(*x.shape[:-1], len(bias2))

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        from .launch.ffn import through_gelu

        tokens, z, weight1, weight2 = ctx.saved_tensors
        of_out = gradient.flatten(0, -2)
        of_z = of_out @ weight2
        hidden, of_bias1 = through_gelu(z, of_z, ctx.gelu == "tanh")
        wanted = ctx.needs_input_grad
        of_x = (of_z @ weight1).view(*gradient.shape[:-1], tokens.shape[1]) if wanted[0] else None
        of_weight1 = of_z.t() @ tokens if wanted[1] else None
        of_weight2 = of_out.t() @ hidden if wanted[3] else None
        of_bias2 = of_out.sum(0, dtype=torch.float32) if wanted[4] else None
        return of_x, of_weight1, of_bias1, of_weight2, of_bias2, None
