"""`FFN.forward` on a GPU.

Without gradients the wide map is written once and read once: the GELU comes behind the product in the same
kernel, which cuBLASLt has for its tanh form, or in place. With a backward pass to come the map before the
GELU is kept. Forward, wide maps are read and written 4 times. Backward it is 7 times: the product that the
gradient comes from, one pass by a kernel in Triton that computes the GELU again and goes through it (4), and
the reads of the products behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ...network.attention import FFN, without_autocast
from .. import precision
from ..precision import cast_together, in_precision
from .operators import WayBack, operator

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
    (x,) = in_precision(x)
    with without_autocast(x):
        return trained(x, *weights, gelu.approximate)[0]


def run(
    x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, gelu: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What comes out, what the GELU is of, and both weights as they were multiplied, where they were cast.

    They are cast in here, so that gradients that are summed in fp32 need no cast, nor lose anything to one.
    """
    cast1, bias1, cast2, bias2 = cast_together((weight1, bias1, weight2, bias2), x.dtype)
    z = torch.addmm(bias1, x.flatten(0, -2), cast1.t())
    hidden = aten.gelu(z, approximate=gelu)
    out = torch.addmm(bias2, hidden, cast2.t()).view(*x.shape[:-1], len(bias2))
    kept1, kept2 = precision.new_casts((cast1, cast2), (weight1, weight2))
    return out, z, kept1, kept2


def fake(
    x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, gelu: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    z = x.new_empty(x.numel() // x.shape[-1], len(weight1))
    kept1, kept2 = precision.fake_casts(x, (weight1, weight2))
    return x.new_empty(*x.shape[:-1], len(weight2)), z, kept1, kept2


def run_back(
    of_out: Tensor,
    x: Tensor,
    z: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    gelu: str,
    of_x: bool,
    of_rest: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of all that `run` takes, in order.

    Args:
        of_x, of_rest: whether those of `x`, both weights and the last bias are wanted, else without numbers.
    """
    from .launch.ffn import through_gelu

    of_out, tokens = of_out.flatten(0, -2), x.flatten(0, -2)
    of_z = of_out @ weight2
    hidden, of_bias1 = through_gelu(z, of_z, gelu == "tanh")
    return (
        (of_z @ weight1).view(x.shape) if of_x else z.new_empty(0),
        precision.product_in_fp32(of_z.t(), tokens) if of_rest[0] else z.new_empty(0, dtype=torch.float32),
        of_bias1,
        precision.product_in_fp32(of_out.t(), hidden) if of_rest[1] else z.new_empty(0, dtype=torch.float32),
        of_out.sum(0, dtype=torch.float32) if of_rest[2] else z.new_empty(0, dtype=torch.float32),
    )


def fake_back(
    of_out: Tensor,
    x: Tensor,
    z: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    gelu: str,
    of_x: bool,
    of_rest: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape if of_x else 0),
        x.new_empty(weight1.shape if of_rest[0] else 0, dtype=torch.float32),
        x.new_empty(len(weight1), dtype=torch.float32),
        x.new_empty(weight2.shape if of_rest[1] else 0, dtype=torch.float32),
        x.new_empty(len(weight2) if of_rest[2] else 0, dtype=torch.float32),
    )


def keep(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)  # what is kept has none, and zeros would be written for it
    x, weight1, _, weight2, _, ctx.gelu = inputs
    _, z, *casts = output
    ctx.save_for_backward(x, z, *precision.as_multiplied(x, (weight1, weight2), casts))


def back(run: Callable[..., Any], ctx: Any, of_out: Tensor | None, *_: Any) -> tuple:
    if of_out is None:
        return (None,) * 6
    wanted = ctx.needs_input_grad
    found = run(of_out, *ctx.saved_tensors, ctx.gelu, wanted[0], [wanted[1], *wanted[3:5]])
    gradients = zip(found, wanted[: len(found)], strict=True)  # the form of the GELU has none
    return *(each if want else None for each, want in gradients), None


trained = operator("ffn", run, fake, WayBack(keep, run_back, fake_back, back))
