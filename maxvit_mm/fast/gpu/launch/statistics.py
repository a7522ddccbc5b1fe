"""The kernels of BatchNorm's statistics, started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..kernels import statistics
from .device import cdiv, start

COMBINED = dict(ROWS=64, CHANNELS=16, num_warps=4)
OF_NORM = dict(CHANNELS=64, num_warps=2)


class Norm(NamedTuple):
    """A norm at its statistics: numbers of each channel, in fp32."""

    mean: Tensor
    variance: Tensor
    inverse: Tensor  # of the deviation
    scale: Tensor
    shift: Tensor


def at_statistics(
    norm: Any, found: Tensor | None, running: Sequence[Tensor] | None = None, counts: bool = True
) -> Tensor:
    """The numbers of a BatchNorm, [5, c], as `Norm` has them.

    Args:
        found: partial statistics of the batch, of which, if it `counts`, the running ones take their share;
            None, and the running ones are taken, or those given as `running`.
    """
    mean, variance = running or (norm.running_mean, norm.running_var)
    numbers = mean.new_empty(5, len(mean), dtype=torch.float32)
    rows = 0 if found is None else len(found)
    batches = norm.num_batches_tracked if counts else numbers  # which is not read then
    given = mean, variance, batches, norm.weight, norm.bias
    rest = rows, norm.momentum, norm.eps, len(mean)
    flags = dict(OF_BATCH=found is not None, COUNTS=counts)
    grid = (cdiv(len(mean), COMBINED["CHANNELS"]),)
    found = numbers if found is None else found
    start(statistics.at_statistics, grid, found, *given, *numbers, *rest, **flags, **COMBINED)
    return numbers


def of_first_norm(sums: Tensor, norm: Norm, taps: Tensor, values: int, of_batch: bool) -> list[Tensor]:
    """The gradients of taps, weight and bias, and what the norm's statistics add; see the kernel."""
    c = len(norm.mean)
    of_taps, rest = torch.empty_like(taps), sums.new_empty(4, c)
    grid = (cdiv(c, OF_NORM["CHANNELS"]),)
    given = norm.mean, norm.inverse, norm.scale, of_taps, *rest, float(values), c
    start(statistics.of_first_norm, grid, sums, *given, OF_BATCH=of_batch, **OF_NORM)
    return [of_taps, *rest]
