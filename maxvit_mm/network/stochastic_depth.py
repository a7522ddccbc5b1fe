"""Stochastic depth (arXiv 1603.09382): leave a residual branch out, per sample, while training."""

from __future__ import annotations

from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Drop the whole branch of a sample with probability `rate`; scale the kept ones by 1 / (1 - rate)."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def draw(self, x: Tensor) -> Tensor | None:
        """What to multiply a branch of the map `x: [b, ...]` by, `[b, 1, ...]`: one draw for each sample.

        None where nothing is to be dropped.
        """
        if not self.training or self.rate == 0:
            return None
        keep = 1 - self.rate
        return x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(keep) / keep

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3f}"
