"""The layers of attention and FFN that keep less for the backward pass; see `lean`."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .fused import by_onednn, product
from .lean import (
    add_product,
    aten,
    backward_pass,
    gelu_and_back,
    gelu_into,
    in_precision,
    total_of,
    without_autocast,
)
from .pieces import ranges

FEW_TOKENS = 64  # in a group, up to which products one by one are faster in bf16 than PyTorch's attention


def linear_gelu_linear(x: Tensor, first: Any, gelu: Any, second: Any) -> Tensor:
    """`second(gelu(first(x)))`; keeps `x` and what the GELU is of. x: [..., inputs]."""
    operands = in_precision(x, first.weight, first.bias, second.weight, second.bias)
    with without_autocast(x):
        return _LinearGELULinear.apply(*operands, gelu.approximate)


class _LinearGELULinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, gelu: str
    ) -> Tensor:
        tokens = x.flatten(0, -2)
        out = tokens.new_empty(len(tokens), len(bias2))
        wide: list[Tensor] = []
        for some in token_ranges(tokens, weight1):
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
        of_tokens = torch.empty_like(tokens)
        of_weight1, of_weight2, of_bias1 = total_of(weight1), total_of(weight2), total_of(weight1[:, 0])
        for some, piece in zip(token_ranges(tokens, weight1), wide, strict=True):
            hidden = torch.empty_like(piece)
            back = gelu_and_back(piece, ctx.gelu, out=hidden)
            add_product(of_weight2, gradient[some].t(), hidden)
            del hidden
            of_wide = product(gradient[some], weight2.t())
            back(of_wide, slice(None), of_wide)
            add_product(of_weight1, of_wide.t(), tokens[some])
            of_bias1 += of_wide.sum(0)
            torch.mm(of_wide, weight1, out=of_tokens[some])
        of_parameters = (each.to(x.dtype) for each in (of_weight1, of_bias1, of_weight2))
        return of_tokens.view_as(x), *of_parameters, gradient.sum(0), None


def token_ranges(tokens: Tensor, weight: Tensor) -> list[slice]:
    """Slices of tokens whose product with `weight` is one piece."""
    return list(ranges(tokens, len(tokens), len(weight) * tokens.element_size()))


def attention(qkv: Tensor, bias: Tensor) -> Tensor:
    """`softmax(q k' / sqrt(d) + bias) v`, the bias added and the softmax taken in fp32.

    The products are in fp32 too, but for networks in bf16 on CPUs, whose logits are rounded to bf16.

    qkv: [b, g, n, 3, heads, d]; bias: [heads, n, n]. Returns [b, g, n, heads, d].
    """
    if qkv.dtype == torch.bfloat16 and by_onednn(qkv) and qkv.shape[2] <= FEW_TOKENS:
        return attention_by_products(qkv, bias)
    return fused_attention(qkv, bias)


def attention_by_products(qkv: Tensor, bias: Tensor) -> Tensor:
    """Products one by one, in the precision of `qkv` as other MaxViTs have them: faster for few tokens."""
    groups = qkv.flatten(0, 1)
    q, k, v = (each.flatten(0, 1) for each in groups.permute(2, 0, 3, 1, 4).contiguous())
    logits = torch.bmm(q, k.transpose(1, 2)).unflatten(0, (-1, len(bias)))
    weights = torch.add(bias, logits, alpha=q.shape[-1] ** -0.5).softmax(-1)
    out = torch.bmm(weights.to(v.dtype).flatten(0, 1), v).unflatten(0, (-1, len(bias)))
    return out.transpose(1, 2).unflatten(0, qkv.shape[:2])


def fused_attention(qkv: Tensor, bias: Tensor) -> Tensor:
    """The products in fp32 too, by PyTorch's attention."""
    q, k, v = qkv.float().flatten(0, 1).permute(2, 0, 3, 1, 4)
    with without_autocast(q):
        mask = bias.expand(len(q), -1, -1, -1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return out.to(qkv.dtype).transpose(1, 2).unflatten(0, qkv.shape[:2])


def biased_attention(qkv: Tensor, bias: Tensor) -> Tensor:
    """`softmax(q k' / sqrt(d) + bias) v` of groups; keeps `qkv`, but none of the weights.

    qkv: [b, g, n, 3, heads, d]; bias: [heads, n, n]. Returns [b, g, n, heads, d].
    """
    return _BiasedAttention.apply(*in_precision(qkv), bias)


class _BiasedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(qkv, bias)
        return fused_attention(qkv, bias.detach())

    @staticmethod
    @backward_pass
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        qkv, bias = ctx.saved_tensors
        groups, of_out = qkv.flatten(0, 1), gradient.flatten(0, 1).transpose(1, 2)
        _, n, _, heads, d = groups.shape
        of_groups = torch.empty_like(groups)
        of_bias = torch.zeros_like(bias)
        for some in ranges(qkv, len(groups), heads * n * max(n, 3 * d) * 4):
            q, k, v = (each.flatten(0, 1) for each in groups[some].permute(2, 0, 3, 1, 4).contiguous())
            g = of_out[some].flatten(0, 1)
            logits = torch.bmm(q.float() * d**-0.5, k.float().transpose(1, 2)).view(-1, heads, n, n)
            weights = logits.add_(bias).softmax(-1)
            of_weights = torch.bmm(g, v.transpose(1, 2)).view_as(weights)
            of_logits = aten._softmax_backward_data(of_weights.to(weights.dtype), weights, -1, weights.dtype)
            of_bias += of_logits.sum(0)
            weights, of_logits = (each.to(q.dtype).flatten(0, 1) for each in (weights, of_logits))
            of_qkv = of_groups[some].permute(2, 0, 3, 1, 4)
            of_qkv[0] = torch.bmm(of_logits, k).mul_(d**-0.5).unflatten(0, (-1, heads))
            of_qkv[1] = torch.bmm(of_logits.transpose(1, 2), q).mul_(d**-0.5).unflatten(0, (-1, heads))
            of_qkv[2] = torch.bmm(weights.transpose(1, 2), g).unflatten(0, (-1, heads))
        return of_groups.view_as(qkv), of_bias
