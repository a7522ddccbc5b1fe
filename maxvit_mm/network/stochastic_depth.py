"""Stochastic depth (arXiv 1603.09382): leave a residual branch out, per sample, while training."""

from __future__ import annotations

from torch import Tensor

from .twins import Layer


class StochasticDepth(Layer):
    """Drop the whole branch of a sample with probability `rate`; scale the kept ones by 1 / (1 - rate).

    x: [b, ...], same out.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * (x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(keep) / keep)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3f}"
