"""Attention rolled out through MaxViT's blocks and stages, and what of a map it can reach.

Rollout (Abnar & Zuidema, arXiv 2005.00928) multiplies the layers' matrices, each `A / 2 + I / 2` for the
residual beside it. Here a block's windows and then its grid take turns, which makes the whole map's attention
out of two sparse matrices. Only attention is followed: MBConvs and FFNs stay out of the product, since they
mix no places or only neighbours. Where a stage halves the map, its shortcut's average is followed instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..network.partition import Block, Partition
from .attention import Attended, Average, SeenBlock


class UnreachableError(ValueError):
    """A rollout that cannot be of the whole map; the message says why."""


class Layout(NamedTuple):
    """How an attention layer shares out a map among groups."""

    partition: Partition
    size: tuple[int, int]


def rollout(stages: Sequence[Sequence[SeenBlock]], weights: Tensor) -> Tensor:
    """Where places of the last map look, through all blocks of some stages.

    Args:
        stages: consecutive ones, in the order of the network; their blocks likewise.
        weights: of the places of the last stage's map, [n, height, width], n cases.

    Returns:
        [n, height, width] of the first stage's map; where the weights of a case add up to 1, these do.

    Raises:
        UnreachableError: where a stage has windows alone.
    """
    for stage in stages:
        check_whole([each for block in stage for each in layouts_of(block)], *stage[0].block.qkv.shape[1:3])
    for stage in reversed(stages):
        for block in reversed(stage):
            weights = with_residual(block.block, with_residual(block.grid, weights))
            if block.pool is not None and not (stage is stages[0] and block is stage[0]):
                weights = before_average(block.pool, weights, block.entered)
    return weights


def layouts_of(block: SeenBlock) -> list[Layout]:
    return [Layout(each.layer.partition, each.size) for each in (block.block, block.grid)]


def with_residual(attended: Attended, weights: Tensor) -> Tensor:
    """`weights (A / 2 + I / 2)`."""
    return (attended.looks_at(weights) + weights) / 2


def before_average(pool: Average, weights: Tensor, size: tuple[int, int]) -> Tensor:
    """Weights of places after an average, [n, height, width], to those of the places before it.

    The average's matrix has rows that add up to 1, also where its padding counts zeros in.
    """
    with torch.enable_grad():
        before = weights.new_zeros(len(weights), 1, *size).requires_grad_()
        after = pool(before)
        full = pool(torch.ones_like(before[:1])).detach()
    (back,) = torch.autograd.grad(after, before, weights[:, None] / full)
    return back[:, 0]


def check_whole(layouts: Sequence[Layout], height: int, width: int) -> None:
    """Refuse windows without a grid: no number of them reaches the whole map.

    Raises:
        UnreachableError: says so.
    """
    if all(layout.partition is Block for layout in layouts) and reach(layouts, height, width) < 1:
        down, across = layouts[0].size
        raise UnreachableError(
            f"windows of {down}x{across} without a grid never reach the whole map of {height}x{width}: a "
            "place sees its own window, however many layers follow: a rollout of the whole map is impossible"
        )


def reach(layouts: Sequence[Layout], height: int, width: int) -> float:
    """The part of a map that its places can look at through some layers, mean of all places; 1 is all of it.

    A grid's groups have a row in every window where the map has at most `P * P` rows and the last window is
    not narrower than the grid's stride; likewise for columns. Then one block and grid reach everything.
    """
    parts = []
    for axis, length in enumerate((height, width)):
        reached = torch.eye(length)
        for layout in reversed(layouts):
            reached = (reached @ together(layout.partition, length, layout.size[axis])).clamp(max=1)
        parts.append(float(reached.mean()))
    return parts[0] * parts[1]


def together(partition: Partition, length: int, size: int) -> Tensor:
    """Which rows of an axis share a group: [length, length] of 0 and 1."""
    share = torch.zeros(length, length)
    for part in partition.split(torch.arange(length), 0, size):
        for group in part:
            share[group[:, None], group] = 1
    return share
