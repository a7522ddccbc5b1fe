"""A function on tensors, as eager PyTorch and as compilers are to have it.

To compilers it is one operator, for maps of all sizes, and so is its backward pass. Called eagerly, an
operator of `torch.library` takes several times the Python of an autograd function, and small batches wait
for Python. There it is such a function, of the same parts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...network.attention import without_autocast

Function = Callable[..., Any]


class WayBack(NamedTuple):
    """
    Attributes:
        keep: `keep(ctx, inputs, output)` saves what is needed.
        run: what is computed, from a gradient and the rest. No tensor that it returns is one that it takes,
            nor shares memory with another.
        fake: the same of tensors without numbers.
        back: `back(run, ctx, *gradients)` returns the gradients of what the way there takes.
    """

    keep: Function
    run: Function
    fake: Function
    back: Function


def operator(name: str, run: Function, fake: Function, way_back: WayBack | None = None) -> Function:
    """`run`, directly or, to compilers, as `torch.ops.maxvit_mm.NAME`.

    Args:
        run: takes tensors and plain values. With a way back, no tensor in a list. The tensors that it returns
            are new, each in memory of its own.
        fake: the same of tensors without numbers.
        way_back: None for what is called without gradients alone.
    """
    if way_back is None:
        to_compilers, directly = one_operator(name, run, run, fake), run
    else:
        to_compilers = differentiable(name, run, fake, way_back)
        directly = autograd_function(
            run, way_back.keep, partial(way_back.back, in_its_precision(way_back.run))
        )

    def operate(*arguments: Any) -> Any:
        if torch.compiler.is_compiling():
            return to_compilers(*arguments)
        return directly(*arguments) if torch.is_grad_enabled() else run(*arguments)

    return operate


def differentiable(name: str, run: Function, fake: Function, way_back: WayBack) -> Any:
    """`run` as an operator, and its way back as another."""
    made = one_operator(name, run, run, fake)
    back = one_operator(f"{name}_backward", in_its_precision(way_back.run), way_back.run, way_back.fake)
    made.register_autograd(partial(way_back.back, back), setup_context=way_back.keep)
    return made


def in_its_precision(run: Function) -> Function:
    """A way back, without autocast, in the precision of the gradient."""

    def precise(gradient: Tensor, *rest: Any) -> Any:
        with without_autocast(gradient):
            return run(gradient, *rest)

    return precise


def one_operator(name: str, run: Function, signature: Function, fake: Function) -> Any:
    """`run` as an operator that takes and returns what `signature` says."""
    schema = torch.library.infer_schema(signature, mutates_args=())
    made = torch.library.custom_op(f"maxvit_mm::{name}", run, mutates_args=(), schema=schema)
    made.register_fake(fake)
    return made


def autograd_function(run: Function, keep: Function, back: Function) -> Function:
    """An autograd function of these, which is not differentiable twice."""

    class Direct(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:  # a `setup_context` would be slower: it binds arguments
            output = run(*inputs)
            keep(ctx, inputs, output)
            return output

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            return back(ctx, *gradients)

    return Direct.apply
