"""Both ways through the middle of an MBConv with a backward pass to come, and the operator that they are to
compilers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..cpu.narrow import as_tokens
from .operators import WayBack, differentiable

How = tuple[int, int, int, bool]  # `launch.narrow.Geometry`


def forward(
    x: Tensor,
    taps: Tensor,
    weight: Tensor,
    bias: Tensor,
    norms: Sequence[Any],
    how: How,
    of_gate: Sequence[Tensor],
    counts: bool,
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Any, ...]]:
    """What comes out; what the way back needs; and what the norms' statistics are of.

    Args:
        x: channels-last in memory.
        counts: whether the running statistics take their share of those of the batch.
    """
    from .launch import excitation
    from .launch import narrow as launch
    from .norm import at_statistics

    how = launch.Geometry(*how)
    numbers1, source1 = at_statistics(norms[0], x, counts=counts)
    z, found = launch.convolve(x, launch.Norm(*numbers1), taps, how)
    numbers2, source2 = at_statistics(norms[1], z, found, counts)
    norm2 = launch.Norm(*numbers2)
    sums, places = launch.sum_of_gelu(z, norm2, how.tanh), z.shape[2] * z.shape[3]
    factor, mean, r = excitation.gate(sums, places, of_gate, torch.float32)
    y = launch.gated(z, norm2, factor, how.tanh)
    out = torch.nn.functional.linear(as_tokens(y), weight, bias.to(y.dtype))
    out = out.view(len(z), *z.shape[2:], len(weight)).permute(0, 3, 1, 2)
    return out, (z, numbers1, numbers2, factor, mean, r), (source1, source2)


def backward(
    gradient: Tensor,
    x: Tensor,
    taps: Tensor,
    weight: Tensor,
    kept: Sequence[Tensor],
    sources: Sequence[Any],
    how: How,
    of_gate: Sequence[Tensor],
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor], list[Tensor]]:
    """The gradients of `x`, taps, weight and bias, of the norms' weights and biases, and of the gate's."""
    from .launch import excitation
    from .launch import narrow as launch
    from .launch.statistics import of_first_norm
    from .norm import through_statistics

    how = launch.Geometry(*how)
    z, numbers1, numbers2, factor, mean, r = kept
    source1, source2 = sources
    norm1, norm2 = launch.Norm(*numbers1), launch.Norm(*numbers2)
    of_out = as_tokens(gradient.contiguous(memory_format=torch.channels_last))
    of_y = of_out @ weight
    y, sums = launch.gate_backward(of_y, z, norm2, factor, how.tanh)
    of_weight = of_out.t() @ as_tokens(y)
    del y
    places = z.shape[2] * z.shape[3]
    given = sums, factor, mean, r, of_gate, norm2, places
    of_each, of_norm2, (*by_image, per_z, per_one) = excitation.gate_backward(*given, source2.of_batch)
    per_one_z = through_statistics(source2, norm2, of_norm2, [per_z, per_one])
    through, frozen = (*by_image, *per_one_z), not source1.of_batch
    g, sums = launch.convolve_backward(of_y, z, x, taps, norm1, norm2, through, how, frozen)
    values = len(x) * x.shape[2] * x.shape[3]
    of_taps, *of_norm1, per_x, per_one = of_first_norm(sums, norm1, taps, values, not frozen)
    if not frozen:
        per_x, per_one = through_statistics(source1, norm1, of_norm1, [per_x, per_one])
        launch.through_norm(g, x, norm1.scale, per_x, per_one)
    of_bias = of_out.sum(0, dtype=torch.float32)
    return g, of_taps, of_weight, of_bias, [*of_norm1, *of_norm2], of_each


def run(
    x: Tensor,
    taps: Tensor,
    weight: Tensor,
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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`forward` as an operator, which leaves running statistics as they are: what comes out, what is kept."""
    from .norm import Tensors

    x = x.contiguous(memory_format=torch.channels_last)
    (mean1, variance1, mean2, variance2), (weight1, bias1, weight2, bias2) = running, of_norms
    norms = (
        Tensors(mean1, variance1, weight1, bias1, eps[0], of_batch[0]),
        Tensors(mean2, variance2, weight2, bias2, eps[1], of_batch[1]),
    )
    how = stride, above, left, tanh
    out, kept, _ = forward(x, taps.contiguous(), weight, bias, norms, how, of_gate, False)
    returned: Any = out, *kept
    return returned


def fake(
    x: Tensor,
    taps: Tensor,
    weight: Tensor,
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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    b, c, height, width = x.shape
    down, across = -(-height // stride), -(-width // stride)
    out = x.new_empty(b, down, across, len(weight)).permute(0, 3, 1, 2)
    z = x.new_empty(b, down, across, c).permute(0, 3, 1, 2)
    shapes = (5, c), (5, c), (b, c), (b, c), (b, len(of_gate[1]))
    returned: Any = out, z, *(x.new_empty(shape, dtype=torch.float32) for shape in shapes)
    return returned


def keep(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)  # what is kept has none, and zeros would be written for it
    x, taps, weight, _, _, _, of_gate, *ctx.rest = inputs
    ctx.save_for_backward(x, taps, weight, *output[1:], *of_gate)


def run_back(
    gradient: Tensor,
    x: Tensor,
    taps: Tensor,
    weight: Tensor,
    kept: Sequence[Tensor],
    of_gate: Sequence[Tensor],
    eps: Sequence[float],
    of_batch: Sequence[bool],
    stride: int,
    above: int,
    left: int,
    tanh: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`backward` as an operator; the gradients of the norms' weights and biases are [4, c]."""
    from .norm import Source

    sources = [Source(*each) for each in zip(of_batch, eps, strict=True)]
    x = x.contiguous(memory_format=torch.channels_last)
    given = gradient, x, taps.contiguous(), weight, kept, sources, (stride, above, left, tanh), of_gate
    *first, of_norms, of_gate = backward(*given)
    returned: Any = *first, torch.stack(of_norms), *of_gate
    return returned


def fake_back(
    gradient: Tensor,
    x: Tensor,
    taps: Tensor,
    weight: Tensor,
    kept: Sequence[Tensor],
    of_gate: Sequence[Tensor],
    eps: Sequence[float],
    of_batch: Sequence[bool],
    stride: int,
    above: int,
    left: int,
    tanh: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    b, c, height, width = x.shape
    g, of_weight = x.new_empty(b, height, width, c).permute(0, 3, 1, 2), x.new_empty(weight.shape)
    of_bias, of_norms = (x.new_empty(shape, dtype=torch.float32) for shape in ((len(weight),), (4, c)))
    of_taps = taps.new_empty(taps.shape)
    returned: Any = g, of_taps, of_weight, of_bias, of_norms, *map(torch.empty_like, of_gate)
    return returned


def back(run: Callable[..., Any], ctx: Any, gradient: Tensor | None, *_: Any) -> tuple:
    x, taps, weight, *kept = ctx.saved_tensors
    if gradient is None:
        return *(None,) * 4, *([None] * 4,) * 3, *(None,) * 6
    *first, of_norms, one, two, three, four = run(gradient, x, taps, weight, kept[:-4], kept[-4:], *ctx.rest)
    return *first, [None] * 4, list(of_norms.unbind()), [one, two, three, four], *(None,) * 6


narrow_training = differentiable("narrow_training", run, fake, WayBack(keep, run_back, fake_back, back))
