"""The kernels of an MBConv's middle with a backward pass to come, started.

Maps are channels-last in memory: [b, c, height, width] here, [b, height, width, c] to the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..kernels import depthwise, depthwise_backward, gate
from .depthwise import OPTIONS, PROGRAMS_AN_SM, columns_of_a_walk
from .device import cdiv, processors_of, start
from .statistics import Norm

TILE = dict(PLACES=16, CHANNELS=64, num_warps=4)
REDUCERS_AN_SM = 20  # programs that sum shares of an image, as many as there are to be at least


class Geometry(NamedTuple):
    """Of the depthwise convolution, and the GELUs around it."""

    stride: int
    above: int
    left: int
    tanh: bool


def convolve(x: Tensor, norm: Norm, weight: Tensor, how: Geometry) -> tuple[Tensor, Tensor]:
    """The depthwise convolution of the GELU of `x` normalised, and its partial statistics, [rows, 3, c]."""
    b, c, height, width = x.shape
    down, across = -(-height // how.stride), -(-width // how.stride)
    z = torch.empty((b, c, down, across), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    grid, parts, an_image, columns = walks(x, how.stride, down, across)
    sizes = b * an_image, an_image, height, width, down, across, columns, how.above, how.left, c
    found = x.new_empty(parts, 3, c, dtype=torch.float32)
    given = x, z, found, weight, x, x, x, norm.scale, norm.shift, 0.0, x, x, x, x, 0.0
    flags = dict(NORMED=True, BIASED=False, WHOLE=False, TANH=how.tanh, STRIDE=how.stride)
    start(depthwise.forward, grid, *given, *sizes, **flags, **OPTIONS[how.stride])
    return z, found


class Walks(NamedTuple):
    grid: tuple[int, int]
    parts: int  # programs that have the same channels
    an_image: int  # strips of rows
    columns: int  # of a walk


def walks(x: Tensor, stride: int, rows: int, columns: int) -> Walks:
    """Programs that walk along so many rows and columns."""
    options = OPTIONS[stride]
    an_image = cdiv(rows, options["ROWS"])
    parts = cdiv(len(x) * an_image, options["STRIPS"])
    programs = cdiv(x.shape[1], options["CHANNELS"]) * parts
    of_walk = columns_of_a_walk(columns, programs, PROGRAMS_AN_SM * processors_of(x))
    along = cdiv(columns, of_walk)
    return Walks((programs, along), parts * along, an_image, of_walk)


def convolve_backward(
    of_y: Tensor,
    z: Tensor,
    x: Tensor,
    weight: Tensor,
    norm1: Norm,
    norm2: Norm,
    of_each: Sequence[Tensor],
    how: Geometry,
) -> tuple[Tensor, Tensor]:
    """From the gradient of the gated map to that of what the first norm returned, and its sums, [11, c].

    Args:
        of_each: `factor` and `constant` of each image and channel, `per_z` and `per_one` of each channel.
    """
    b, c, height, width = x.shape
    rows, columns = height, width
    if how.stride == 2:
        rows, columns = -(-(height + how.above) // 2), -(-(width + how.left) // 2)
    grid, parts, an_image, of_walk = walks(x, how.stride, rows, columns)
    g = torch.empty_like(x)
    sums = x.new_empty(parts, 11, c, dtype=torch.float32)
    sizes = b * an_image, an_image, height, width, *z.shape[2:], of_walk, how.above, how.left, c
    norms = norm1.mean, norm1.scale, norm1.shift, norm2.scale, norm2.shift
    given = of_y, z, x, g, sums, weight, *norms, *of_each, *sizes
    flags = dict(TANH=how.tanh, STRIDE=how.stride)
    start(depthwise_backward.backward, grid, *given, **flags, **OPTIONS[how.stride])
    return g, sums.sum(0)


def sum_of_gelu(z: Tensor, norm: Norm, tanh: bool) -> Tensor:
    """Of the GELU of what comes out of the second norm, the sum over each image, [b, c]."""
    b, c, places, (grid, number, share) = *z.shape[:2], z.shape[2] * z.shape[3], shares(z)
    sums = z.new_empty(b, number, c, dtype=torch.float32)
    start(gate.sum_of_gelu, grid, z, norm.scale, norm.shift, sums, places, share, c, TANH=tanh, **TILE)
    return summed(sums)


def gated(z: Tensor, norm: Norm, factor: Tensor, tanh: bool) -> Tensor:
    """The map that the last convolution reads."""
    y, places = torch.empty_like(z), z.shape[2] * z.shape[3]
    grid = (cdiv(z.shape[1], TILE["CHANNELS"]) * cdiv(places, TILE["PLACES"]) * len(z),)
    given = z, norm.scale, norm.shift, factor, y, places, z.shape[1]
    start(gate.gated, grid, *given, TANH=tanh, **TILE)
    return y


def gate_backward(of_y: Tensor, z: Tensor, norm: Norm, factor: Tensor, tanh: bool) -> tuple[Tensor, Tensor]:
    """The map that the last convolution read, and the sums of `kernels.gate.backward`, [b, 5, c]."""
    b, c, places, (grid, number, share) = *z.shape[:2], z.shape[2] * z.shape[3], shares(z)
    y, sums = torch.empty_like(z), z.new_empty(b, number, 5, c, dtype=torch.float32)
    given = of_y, z, norm.mean, norm.scale, norm.shift, factor, y, sums, places, share, c
    start(gate.backward, grid, *given, TANH=tanh, **TILE)
    return y, summed(sums)


def summed(sums: Tensor) -> Tensor:
    """Of all shares of an image. [b, shares, ...] -> [b, ...]."""
    return sums[:, 0] if sums.shape[1] == 1 else sums.sum(1)


def shares(z: Tensor) -> tuple[tuple[int], int, int]:
    """A grid of programs that sum, how many an image has of the same channels, and the places of each."""
    tiles, places = cdiv(z.shape[1], TILE["CHANNELS"]), z.shape[2] * z.shape[3]
    wanted = cdiv(REDUCERS_AN_SM * processors_of(z), tiles * len(z))
    share = cdiv(cdiv(places, wanted), TILE["PLACES"]) * TILE["PLACES"]
    number = cdiv(places, share)
    return (tiles * number * len(z),), number, share
