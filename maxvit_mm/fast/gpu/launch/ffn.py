"""The kernel of an FFN's way back, started."""

from __future__ import annotations

import torch
from torch import Tensor

from ..kernels import ffn
from .device import cdiv, processors_of, start

TILE = dict(PLACES=16, CHANNELS=64, num_warps=4)
PROGRAMS_AN_SM = 16


def through_gelu(z: Tensor, gradient: Tensor, tanh: bool) -> tuple[Tensor, Tensor]:
    """The GELU of `z: [tokens, c]`, and the sum over tokens of the gradient of `z`, in fp32.

    That gradient takes the place of `gradient`, of what the GELU returned.
    """
    tokens, c = z.shape
    tiles = cdiv(c, TILE["CHANNELS"])
    wanted = cdiv(PROGRAMS_AN_SM * processors_of(z), tiles)
    share = cdiv(cdiv(tokens, wanted), TILE["PLACES"]) * TILE["PLACES"]
    shares = cdiv(tokens, share)
    hidden, sums = torch.empty_like(z), z.new_empty(shares, c, dtype=torch.float32)
    given = z, gradient, hidden, sums, tokens, share, c
    start(ffn.backward, (tiles, shares), *given, TANH=tanh, **TILE)
    return hidden, sums.sum(0)
