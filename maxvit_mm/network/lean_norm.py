"""BatchNorm of layers that keep less for the backward pass; see `lean`."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .lean import aten
from .pieces import ranges


class Statistics(NamedTuple):
    """What a BatchNorm normalises a map by, and whether it is the map's own, with gradients through it."""

    mean: Tensor
    variance: Tensor
    of_batch: bool
    eps: float

    @classmethod
    def of(cls, norm: Any, x: Tensor) -> Statistics:
        """Those of `x` while training, of which the running ones take their share; else the running ones."""
        running = norm.running_mean, norm.running_var
        if not norm.training:
            return cls(*running, False, norm.eps)
        if x.numel() == len(norm.running_mean):
            raise ValueError(
                f"a BatchNorm that trains needs more than one value a channel; got {list(x.shape)}: take "
                "larger images or batches, or norm_eval=True"
            )
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
            if x.device.type != "meta":
                return cls(*torch.batch_norm_update_stats(x, *running, norm.momentum), True, norm.eps)
            return cls(torch.empty_like(running[0]), torch.empty_like(running[1]), True, norm.eps)

    def scale_and_shift(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        scale = weight * (self.variance + self.eps).rsqrt()
        return scale, bias - self.mean * scale


class NormGradient:
    """The way back through a BatchNorm, some tokens after others, and once they are all there for the rest.

    With `xhat = (x - mean) / deviation` and `m()` a mean over all tokens, the gradient of `x` is
    `scale * (g - m(g) - xhat * m(g * xhat))` (arXiv 1502.03167); of constant statistics, `scale * g`.

    Args:
        x: [tokens, c], what was normalised.
    """

    def __init__(self, statistics: Statistics, x: Tensor, scale: Tensor):
        self.statistics, self.x, self.scale = statistics, x, scale
        self.inverse = (statistics.variance + statistics.eps).rsqrt()
        self.of_normalised = torch.empty_like(x)  # filled by the caller
        self.of_weight, self.of_bias = torch.zeros_like(scale), torch.zeros_like(scale)

    def add(self, some: slice) -> None:
        """Count in some tokens, each once, once `of_normalised` holds theirs."""
        g, x = (
            each[some].view(1, -1, 1, each.shape[1]).permute(0, 3, 1, 2)
            for each in (self.of_normalised, self.x)
        )
        mean, _, _, eps = self.statistics
        of_weight, of_bias = aten.native_batch_norm_backward(
            *(g, x, self.scale, None, None, mean, self.inverse, True, eps, (False, True, True))
        )[1:]
        self.of_weight += of_weight
        self.of_bias += of_bias

    def finish(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Once all tokens have been counted in: the gradients of the map `x`, of the weight and the bias."""
        per_x = -self.scale * self.inverse * self.of_weight / len(self.x)
        per_one = -self.scale * self.of_bias / len(self.x) - per_x * self.statistics.mean
        of_x = self.of_normalised
        for some in ranges(self.x, len(self.x), self.x[:1].nbytes):
            if self.statistics.of_batch:
                # not in a lower precision: rounded factors would leave means that are to cancel
                through_statistics = torch.addcmul(per_one, self.x[some], per_x)
                torch.addcmul(through_statistics, of_x[some], self.scale, out=of_x[some])
            else:
                of_x[some] *= self.scale
        of_map = of_x.view(len(x), *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
        return of_map, self.of_weight, self.of_bias
