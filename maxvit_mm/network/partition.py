"""Map <-> groups: the two ways in which MaxViT shares a map out among groups of tokens.

Along an axis of `n` rows with partition size `P`:

- **block** window `k` holds the neighbours `kP, kP + 1, ...`, `P` of them;
- **grid** group `i` of `c = ceil(n / P)` holds every c-th row: `i, i + c, i + 2c, ...`.

Each as far as there are rows. A size that `P` does not divide thus leaves some groups smaller, by
one row in a grid, in the last window of a block: nothing is padded, so nothing needs a mask and no
token can see what is not there. Groups of one size are attended to together, which is why an axis is
first *split* into parts whose groups are equal (two at the most), so a map into four at the most.

Shapes, in the letters of the patterns: a map is `[b, height, width, channels]`; `h` and `w` are a
group's own height and width, `i` and `j` count the groups down and across.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor


class Part(NamedTuple):
    """A part of a map, all of whose groups have `rank` rows (or columns, along a row)."""

    tokens: Tensor
    rank: int


class Block:
    """Windows: neighbours share a group."""

    layout = "b (i h) (j w)"

    @staticmethod
    def split(x: Tensor, dim: int, size: int) -> list[Part]:
        length = x.shape[dim]
        rest = length % size
        whole = x.narrow(dim, 0, length - rest)
        last = x.narrow(dim, length - rest, rest)
        return [part for part in (Part(whole, size), Part(last, rest)) if part.tokens.shape[dim]]

    @staticmethod
    def merge(parts: list[Part], dim: int) -> Tensor:
        return concatenate([part.tokens for part in parts], dim)


class Grid:
    """A sparse grid: every i-th row and every j-th column share a group."""

    layout = "b (h i) (w j)"

    @staticmethod
    def split(x: Tensor, dim: int, size: int) -> list[Part]:
        length = x.shape[dim]
        groups = -(-length // size)
        rank, longer = divmod(length, groups)  # `longer` groups have one row more than `rank`
        if not longer:
            return [Part(x, rank)]
        rows = x.narrow(dim, 0, rank * groups).unflatten(dim, (rank, groups))
        extra = x.narrow(dim, rank * groups, longer)
        first = rows.narrow(dim + 1, 0, longer).flatten(dim, dim + 1)
        other = rows.narrow(dim + 1, longer, groups - longer).flatten(dim, dim + 1)
        return [Part(torch.cat([first, extra], dim), rank + 1), Part(other, rank)]

    @staticmethod
    def merge(parts: list[Part], dim: int) -> Tensor:
        if len(parts) == 1:
            return parts[0].tokens
        (first, _), (other, rank) = parts
        longer = first.shape[dim] // (rank + 1)
        extra = first.narrow(dim, rank * longer, longer)
        first = first.narrow(dim, 0, rank * longer).unflatten(dim, (rank, longer))
        rows = torch.cat([first, other.unflatten(dim, (rank, -1))], dim + 1)
        return torch.cat([rows.flatten(dim, dim + 1), extra], dim)


Partition = type[Block] | type[Grid]


def over_groups(
    function: Callable[[Tensor, int, int], Tensor],
    x: Tensor,
    partition: Partition,
    size: tuple[int, int],
) -> Tensor:
    """Cut a map into groups, apply `function` to the groups of each size, and join the results.

    Args:
        function: takes `groups: [b * i * j, h * w, channels], h, w` and returns groups of as many
            tokens, of any number of channels. Tokens are row-major within their group.
        x: a map `[b, height, width, channels]`.
        partition: `Block` or `Grid`.
        size: the partition size, down and across.

    Returns:
        a map of the same height and width.
    """

    def over_part(part: Tensor, h: int, w: int) -> Tensor:
        b, i, j = len(part), part.shape[1] // h, part.shape[2] // w
        groups = rearrange(part, f"{partition.layout} c -> (b i j) (h w) c", h=h, w=w)
        groups = function(groups, h, w)
        return rearrange(groups, f"(b i j) (h w) c -> {partition.layout} c", b=b, i=i, j=j, h=h)

    def over_band(band: Part) -> Part:
        h = band.rank
        parts = partition.split(band.tokens, 2, size[1])
        parts = [Part(over_part(part, h, w), w) for part, w in parts]
        return Part(partition.merge(parts, 2), h)

    return partition.merge([over_band(band) for band in partition.split(x, 1, size[0])], 1)


def concatenate(tensors: list[Tensor], dim: int) -> Tensor:
    """`torch.cat` that does not copy a single tensor."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim)
