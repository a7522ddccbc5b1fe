"""The classification head: what ImageNet training put on top of the trunk."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """Average over the map, LayerNorm, linear, tanh, linear.

    x: [b, width, height, width of the map] -> logits [b, classes].
    """

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.pre_logits = nn.Linear(width, width)
        self.logits = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.mean((2, 3)))
        return self.logits(torch.tanh(self.pre_logits(x)))
