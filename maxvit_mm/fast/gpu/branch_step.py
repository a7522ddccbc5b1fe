"""Both ways through the branch of an MBConv with a backward pass to come, and the operator that they are to
compilers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .. import precision
from ..cpu.narrow import as_tokens
from .operators import WayBack, differentiable

How = tuple[int, int, int, bool]  # `launch.narrow.Geometry`


def forward(
    n: Tensor,
    expand: Tensor,
    taps: Tensor,
    shrink: Tensor,
    bias: Tensor,
    norms: Sequence[Any],
    how: How,
    of_gate: Sequence[Tensor],
    counts: bool,
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Any, ...]]:
    """What comes out; what the way back needs; and what the norms' statistics are of.

    The weights of both products are cast in here, so that their gradients, which are summed in fp32, need no
    cast, nor lose anything to one.

    Args:
        n: channels-last in memory.
        expand: contiguous.
        counts: whether the running statistics take their share of those of the batch.
    """
    from .launch import excitation, product
    from .launch import narrow as launch
    from .norm import at_statistics

    how, tokens = launch.Geometry(*how), as_tokens(n)
    expand, shrink, bias = precision.cast_together((expand, shrink, bias), n.dtype)
    x = as_map(tokens @ expand.t(), n)
    of_x = product.statistics(tokens, expand) if norms[0].training else None
    numbers1, source1 = at_statistics(norms[0], x, of_x and of_x.found, counts)
    z, found = launch.convolve(x, launch.Norm(*numbers1), taps, how)
    numbers2, source2 = at_statistics(norms[1], z, found, counts)
    norm2 = launch.Norm(*numbers2)
    sums, places = launch.sum_of_gelu(z, norm2, how.tanh), z.shape[2] * z.shape[3]
    factor, mean, r = excitation.gate(sums, places, of_gate, torch.float32)
    y = launch.gated(z, norm2, factor, how.tanh)
    out = as_map(torch.addmm(bias, as_tokens(y), shrink.t()), z)
    from_product = of_x or [mean.new_empty(0) for _ in range(3)]
    kept = expand, shrink, x, z, numbers1, numbers2, factor, mean, r, *from_product
    return out, kept, (source1, source2)


def as_map(tokens: Tensor, like: Tensor) -> Tensor:
    """[tokens, c] of a map of so many images, rows and columns as [b, c, height, width], a view."""
    return tokens.view(len(like), *like.shape[2:], tokens.shape[1]).permute(0, 3, 1, 2)


def backward(
    gradient: Tensor,
    n: Tensor,
    taps: Tensor,
    kept: Sequence[Tensor],
    sources: Sequence[Any],
    how: How,
    of_gate: Sequence[Tensor],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, list[Tensor], list[Tensor]]:
    """The gradients of `n`, `expand`, taps, `shrink` and bias, of the norms' weights and biases, and of the
    gate's."""
    from .launch import excitation, product
    from .launch import narrow as launch
    from .launch.statistics import of_first_norm
    from .norm import through_statistics

    how = launch.Geometry(*how)
    expand, shrink, x, z, numbers1, numbers2, factor, mean, r, *of_x = kept
    source1, source2 = sources
    norm1, norm2 = launch.Norm(*numbers1), launch.Norm(*numbers2)
    of_out = as_tokens(gradient.contiguous(memory_format=torch.channels_last))
    of_y = of_out @ shrink
    y, sums = launch.gate_backward(of_y, z, norm2, factor, how.tanh)
    of_shrink = precision.product_in_fp32(of_out.t(), as_tokens(y))
    del y
    places = z.shape[2] * z.shape[3]
    of_gated = sums, factor, mean, r, of_gate, norm2, places
    of_each, of_norm2, (*by_image, per_z, per_one) = excitation.gate_backward(*of_gated, source2.of_batch)
    through = *by_image, *through_statistics(source2, norm2, of_norm2, [per_z, per_one])
    g, sums = launch.convolve_backward(of_y, z, x, taps, norm1, norm2, through, how)
    del of_y
    values = len(n) * n.shape[2] * n.shape[3]
    of_taps, *of_norm1, per_x, per_one = of_first_norm(sums, norm1, taps, values, source1.of_batch)
    added = through_statistics(source1, norm1, of_norm1, [per_x, per_one])
    of_product = product.OfProduct(*of_x) if source1.of_batch else None
    given = as_tokens(g), as_tokens(n), expand, norm1.scale, of_norm1[1], added, of_product
    of_tokens, of_expand = product.backward(*given)
    of_bias = of_out.sum(0, dtype=torch.float32)
    of_norms = [*of_norm1, *of_norm2]
    return as_map(of_tokens, n), of_expand, of_taps, of_shrink, of_bias, of_norms, of_each


def run(
    n: Tensor,
    expand: Tensor,
    taps: Tensor,
    shrink: Tensor,
    bias: Tensor,
    running: Sequence[Tensor],
    of_norms: Sequence[Tensor],
    of_gate: Sequence[Tensor],
    eps: Sequence[float],
    of_batch: Sequence[bool],
    stride: int,
    above: int,
    left: int,
    tanh: bool,
) -> tuple[
    Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor
]:
    """`forward` as an operator, which leaves running statistics as they are: what comes out, what is kept.

    Of weights that need no cast, nothing is.
    """
    from .norm import Tensors

    n = n.contiguous(memory_format=torch.channels_last)
    (mean1, variance1, mean2, variance2), (weight1, bias1, weight2, bias2) = running, of_norms
    norms = (
        Tensors(mean1, variance1, weight1, bias1, eps[0], of_batch[0]),
        Tensors(mean2, variance2, weight2, bias2, eps[1], of_batch[1]),
    )
    how = stride, above, left, tanh
    out, kept, _ = forward(n, expand, taps.contiguous(), shrink, bias, norms, how, of_gate, False)
    returned: Any = out, *precision.new_casts(kept[:2], (expand, shrink)), *kept[2:]
    return returned


def fake(
    n: Tensor,
    expand: Tensor,
    taps: Tensor,
    shrink: Tensor,
    bias: Tensor,
    running: Sequence[Tensor],
    of_norms: Sequence[Tensor],
    of_gate: Sequence[Tensor],
    eps: Sequence[float],
    of_batch: Sequence[bool],
    stride: int,
    *_: Any,
) -> tuple[Tensor, ...]:
    (b, inputs, height, width), c = n.shape, len(expand)
    down, across = -(-height // stride), -(-width // stride)
    casts = precision.fake_casts(n, (expand, shrink))
    out, x, z = (
        n.new_empty(b, *size, channels).permute(0, 3, 1, 2)
        for channels, *size in ((len(shrink), down, across), (c, height, width), (c, down, across))
    )
    of_norm = ((1, 3, c), (c, inputs), (inputs,)) if of_batch[0] else ((0,),) * 3
    shapes = (5, c), (5, c), (b, c), (b, c), (b, len(of_gate[1])), *of_norm
    return out, *casts, x, z, *(n.new_empty(shape, dtype=torch.float32) for shape in shapes)


def keep(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)  # what is kept has none, and zeros would be written for it
    n, expand, taps, shrink, _, _, _, of_gate, *ctx.rest = inputs
    weights = precision.as_multiplied(n, (expand, shrink), output[1:3])
    ctx.save_for_backward(n, taps, *weights, *output[3:], *of_gate)


def run_back(
    gradient: Tensor,
    n: Tensor,
    taps: Tensor,
    kept: Sequence[Tensor],
    of_gate: Sequence[Tensor],
    eps: Sequence[float],
    of_batch: Sequence[bool],
    stride: int,
    above: int,
    left: int,
    tanh: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`backward` as an operator; the gradients of the norms' weights and biases are [4, c]."""
    from .norm import Source

    sources = [Source(*each) for each in zip(of_batch, eps, strict=True)]
    n, how = n.contiguous(memory_format=torch.channels_last), (stride, above, left, tanh)
    *first, of_norms, of_each = backward(gradient, n, taps.contiguous(), kept, sources, how, of_gate)
    returned: Any = *first, torch.stack(of_norms), *of_each
    return returned


def fake_back(
    gradient: Tensor,
    n: Tensor,
    taps: Tensor,
    kept: Sequence[Tensor],
    of_gate: Sequence[Tensor],
    *_: Any,
) -> tuple[Tensor, ...]:
    (b, inputs, height, width), (expand, shrink) = n.shape, kept[:2]
    of_n = n.new_empty(b, height, width, inputs).permute(0, 3, 1, 2)
    shapes = expand.shape, shrink.shape, (len(shrink),), (4, len(expand))
    of_expand, *rest = (n.new_empty(shape, dtype=torch.float32) for shape in shapes)
    return of_n, of_expand, taps.new_empty(taps.shape), *rest, *map(torch.empty_like, of_gate)


def back(run: Callable[..., Any], ctx: Any, gradient: Tensor | None, *_: Any) -> tuple:
    if gradient is None:
        return *(None,) * 5, *([None] * 4,) * 3, *(None,) * 6
    n, taps, *kept = ctx.saved_tensors
    *first, of_norms, one, two, three, four = run(gradient, n, taps, kept[:-4], kept[-4:], *ctx.rest)
    return *first, [None] * 4, list(of_norms.unbind()), [one, two, three, four], *(None,) * 6


trained_branch = differentiable("branch", run, fake, WayBack(keep, run_back, fake_back, back))
