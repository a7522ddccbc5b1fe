"""The FFN with a backward pass to come, of which less is kept; see `lean`."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ...network.attention import FFN, without_autocast
from ..precision import in_precision
from .lean import add_product, backward_pass, gelu_and_back, gelu_into, total_of
from .onednn import product
from .pieces import token_ranges


def ffn(layer: FFN, x: Tensor) -> Tensor:
    """`FFN.forward`; keeps `x` and what the GELU is of."""
    first, gelu, second = cast("Any", layer)
    operands = in_precision(x, first.weight, first.bias, second.weight, second.bias)
    with without_autocast(x):
        return _FFN.apply(*operands, gelu.approximate)


class _FFN(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, gelu: str
    ) -> Tensor:
        tokens = x.flatten(0, -2)
        out = tokens.new_empty(len(tokens), len(bias2))
        wide: list[Tensor] = []
        for some in token_ranges(tokens, len(weight1)):
            wide.append(product(tokens[some], weight1, bias1))
            hidden = torch.empty_like(wide[-1])
            gelu_into(hidden, wide[-1], gelu)
            torch.addmm(bias2, hidden, weight2.t(), out=out[some])
        ctx.save_for_backward(x, weight1, weight2, *wide)
        ctx.gelu = gelu
        return out.view(*x.shape[:-1], len(bias2))

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, weight1, weight2, *wide = ctx.saved_tensors
        tokens, gradient = x.flatten(0, -2), gradient.flatten(0, -2)
        trains1, trains2 = ctx.needs_input_grad[1], ctx.needs_input_grad[3]
        of_tokens = torch.empty_like(tokens)
        of_weight1, of_weight2, of_bias1 = total_of(weight1), total_of(weight2), total_of(weight1[:, 0])
        for some, piece in zip(token_ranges(tokens, len(weight1)), wide, strict=True):
            hidden = torch.empty_like(piece)
            back = gelu_and_back(piece, ctx.gelu, out=hidden)
            if trains2:
                add_product(of_weight2, gradient[some].t(), hidden)
            del hidden
            of_wide = product(gradient[some], weight2.t())
            back(of_wide, slice(None), of_wide)
            if trains1:
                add_product(of_weight1, of_wide.t(), tokens[some])
            of_bias1 += of_wide.sum(0)
            torch.mm(of_wide, weight1, out=of_tokens[some])
        of_parameters = (each.to(x.dtype) for each in (of_weight1, of_bias1, of_weight2))
        return of_tokens.view_as(x), *of_parameters, gradient.sum(0), None
