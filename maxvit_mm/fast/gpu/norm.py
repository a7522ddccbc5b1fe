"""BatchNorm around the kernels of an MBConv's middle: its numbers at the statistics of one process, of all
processes (SyncBN) or at running ones, and the way back through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..cpu.norm import Statistics, count_in, group_of, over_processes, refuse_one_value, totals
from .launch import statistics as launch


class Source(NamedTuple):
    """What a norm's statistics are of; they are constants where they are not of a batch."""

    of_batch: bool
    eps: float
    group: Any = None
    values: Any = 0


class Tensors(NamedTuple):
    """A norm, as an operator is given it: without what counts batches."""

    running_mean: Tensor
    running_var: Tensor
    weight: Tensor
    bias: Tensor
    eps: float
    training: bool
    momentum: float = 0.0
    num_batches_tracked: Tensor | None = None


def at_statistics(norm: Any, x: Tensor, found: Tensor | None, counts: bool = True) -> tuple[Tensor, Source]:
    """The numbers of a norm of `x`, [5, c], as `launch.statistics.Norm` has them.

    Args:
        found: partial statistics of `x`; of running ones none are needed.
        counts: whether the running statistics take their share.
    """
    if not norm.training:
        return launch.at_statistics(norm, None), Source(False, norm.eps)
    group = group_of(norm)
    refuse_one_value(norm, x, group)
    numbers = launch.at_statistics(norm, found, counts=counts and group is None)
    if group is None:
        return numbers, Source(True, norm.eps)
    with torch.no_grad():
        mean, variance, *_ = numbers
        mean, variance, count = over_processes(mean, variance, x.numel() // x.shape[1], norm.eps, group)
        norm.num_batches_tracked.add_(1)
        count_in(norm, mean, variance, count)
        return launch.at_statistics(norm, None, (mean, variance)), Source(True, norm.eps, group, count)


def through_statistics(
    source: Source, norm: launch.Norm, of_norm: Sequence[Tensor], here: list[Tensor]
) -> list[Tensor]:
    """What the statistics of a batch add to the gradient of each value: so much by the value, and so much.

    Args:
        of_norm: the gradients of its weight and bias, of this process.
        here: the same for the statistics of this process, as the kernels return it.
    """
    if source.group is None:
        return here
    statistics, (of_weight, of_bias) = Statistics(norm.mean, norm.variance, *source), of_norm
    of_weight, of_bias, count = totals(statistics, of_weight, of_bias, 0)
    per_x = -norm.scale * norm.inverse * of_weight / count
    return [per_x, -norm.scale * of_bias / count - per_x * norm.mean]
