"""Map <-> groups: the two ways in which MaxViT shares a map out among groups of tokens.

Along an axis of `n` rows with partition size `P`:

- **block** window `k` holds the neighbours `kP, kP + 1, ...`, `P` of them;
- **grid** group `i` of `c = ceil(n / P)` holds every c-th row: `i, i + c, i + 2c, ...`.

Each as far as there are rows. A size that `P` does not divide thus leaves some groups smaller, by
one row in a grid, in the last window of a block: nothing is padded, so nothing needs a mask and no
token can see what is not there. Groups of one size are attended to together, which is why an axis is
first *split* into parts whose groups are equal (two at the most), so a map into four at the most.

Shapes, in the letters of the patterns: a map is `[b, height, width, c]`; `h` and `w` are a group's own
height and width, `i` and `j` count the groups down and across. A part is a view of its map, `[b, i, h, j,
w, c]`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from .places import cut, is_unknown, join


class Block:
    """Windows: neighbours share a group."""

    @staticmethod
    def split(x: Tensor, dim: int, size: int) -> list[Tensor]:
        """Views of `x` with axis `dim` as two, groups and members, a view for each size of group."""
        length = x.shape[dim]
        rest = length % size
        whole = x.narrow(dim, 0, length - rest).unflatten(dim, (length // size, size))
        last = x.narrow(dim, length - rest, rest).unsqueeze(dim)
        return [part for part in (whole, last) if part.shape[dim] and part.shape[dim + 1]]

    @staticmethod
    def merge(parts: list[Tensor], dim: int) -> Tensor:
        """What `split` was given, from what it returned."""
        return concatenate([part.flatten(dim, dim + 1) for part in parts], dim)


class Grid:
    """A sparse grid: every i-th row and every j-th column share a group."""

    @staticmethod
    def split(x: Tensor, dim: int, size: int) -> list[Tensor]:
        """Views of `x` with axis `dim` as two, groups and members, a view for each size of group."""
        length = x.shape[dim]
        groups = -(-length // size)
        rank = length // groups
        longer = length - rank * groups  # so many groups have one row more than `rank`
        other = x.narrow(dim, longer, rank * groups).unflatten(dim, (rank, groups)).transpose(dim, dim + 1)
        if not longer:
            return [other]
        # Group i starts at row i and takes every groups-th row from there on.
        first = x.unfold(dim, rank * groups + 1, 1)[..., ::groups].movedim(-1, dim + 1)
        return [first, other.narrow(dim, 0, groups - longer)]

    @staticmethod
    def merge(parts: list[Tensor], dim: int) -> Tensor:
        """What `split` was given, from what it returned."""
        rank = parts[-1].shape[dim + 1]
        rows = concatenate([part.narrow(dim + 1, 0, rank) for part in parts], dim)
        rows = rows.transpose(dim, dim + 1).flatten(dim, dim + 1)
        return rows if len(parts) == 1 else torch.cat([rows, parts[0].select(dim + 1, rank)], dim)


Partition = type[Block] | type[Grid]


def over_groups(
    function: Callable[..., Tensor],
    x: Tensor,
    partition: Partition,
    size: tuple[int, int],
) -> Tensor:
    """Cut a map into groups, apply `function` to the groups of each size, and join the results.

    Args:
        function: takes `groups: [b * i * j, h * w, channels], h, w` and returns groups of as many
            tokens, of any number of channels. Tokens are row-major within their group. For a map of
            unknown size it also takes `there: [b * i * j, h * w]`, which of the places hold a token.
        x: a map `[b, height, width, channels]`.
        partition: `Block` or `Grid`.
        size: the partition size, down and across.

    Returns:
        a map of the same height and width.
    """
    if is_unknown(*x.shape[1:3]):
        groups, there = cut(x, partition is Grid, *size)
        return join(function(groups, *size, there), x, partition is Grid, *size)

    def over_part(part: Tensor) -> Tensor:
        b, i, h, j, w, _ = part.shape
        groups = function(rearrange(part, "b i h j w c -> (b i j) (h w) c"), h, w)
        return rearrange(groups, "(b i j) (h w) c -> b i h j w c", b=b, i=i, j=j, h=h, w=w)

    def over_band(band: Tensor) -> Tensor:
        return partition.merge([over_part(part) for part in partition.split(band, 3, size[1])], 3)

    return partition.merge([over_band(band) for band in partition.split(x, 1, size[0])], 1)


def concatenate(tensors: list[Tensor], dim: int) -> Tensor:
    """`torch.cat` that does not copy a single tensor."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim)
