"""Stochastic depth (arXiv 1603.09382): leave a residual branch out, per sample, while training."""

from __future__ import annotations

from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Drop the whole branch of a sample with probability `rate`; scale the kept ones by 1 / (1 - rate).

    The map is `[b, ...]`; one draw for each of the `b` samples.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        kept = branch.new_empty(len(branch), *[1] * (branch.ndim - 1)).bernoulli_(keep)
        return branch * (kept / keep)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3f}"
