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
w, c]`: nothing moves until a part's groups, `[b, (i j), (h w), c]`, are cut out of the map, once, and joined
into a map again, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from .pieces import in_pieces, ranges


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
        return torch.cat([part.flatten(dim, dim + 1) for part in parts], dim)


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
        # Group i holds every groups-th row from row i on: rank + 1 of them, while i < longer.
        shape, strides = list(x.shape), list(x.stride())
        shape[dim : dim + 1] = longer, rank + 1
        strides[dim : dim + 1] = strides[dim], strides[dim] * groups
        first = x.as_strided(shape, strides)  # from the first row of `x`
        return [first, other.narrow(dim, 0, groups - longer)]

    @staticmethod
    def merge(parts: list[Tensor], dim: int) -> Tensor:
        """What `split` was given, from what it returned."""
        rank = parts[-1].shape[dim + 1]
        rows = torch.cat([part.narrow(dim + 1, 0, rank) for part in parts], dim)
        rows = rows.transpose(dim, dim + 1).flatten(dim, dim + 1)
        return rows if len(parts) == 1 else torch.cat([rows, parts[0].select(dim + 1, rank)], dim)


Partition = type[Block] | type[Grid]
PARTITIONS: tuple[Partition, ...] = (Block, Grid)
GROUPS = "b i h j w c -> b (i j) (h w) c"


def views(x: Tensor, partition: Partition, size: tuple[int, int]) -> Iterator[Tensor]:
    """The parts of a map `[b, height, width, c]`, each `[b, i, h, j, w, c]`."""
    for rows in partition.split(x, 1, size[0]):
        yield from partition.split(rows, 3, size[1])


def over_groups(
    layer_for: Callable[[int, int], Callable[[Tensor], Tensor]],
    x: Tensor,
    partition: Partition,
    size: tuple[int, int],
    widest: int = 1,
    whole: bool = False,
) -> Tensor:
    """Cut a map into groups, apply a layer to the groups of each size, and join the results.

    Args:
        layer_for: gives the layer for groups of `h, w`, which takes `groups: [b, i * j, h * w, c]` and
            returns as many, of as many tokens and channels. Tokens are row-major within their group. It may
            be called for some of the images or groups at a time: what it does to one must not depend on
            others.
        x: a map `[b, height, width, c]`. Without gradients it may be overwritten with the result.
        partition: `Block` or `Grid`.
        size: the partition size, down and across.
        widest: channels of the widest tensor that the layer makes, in times those of `x`.
        whole: whether the layer wants all groups of a size at once.

    Returns:
        a map of the same shape.
    """
    if in_pieces(x) and not whole:
        for part in views(x, partition, size):
            layer = layer_for(part.shape[2], part.shape[4])
            for piece in pieces(part, widest):
                piece.copy_(whence(layer(rearrange(piece, GROUPS)), piece))
        return x
    layers = [layer_for(part.shape[2], part.shape[4]) for part in views(x, partition, size)]
    parts = Cut.apply(x, partition, size)
    parts = [layer(groups) for layer, groups in zip(layers, parts, strict=True)]
    return Join.apply(x.shape, partition, size, *parts)


def pieces(part: Tensor, widest: int) -> Iterator[Tensor]:
    """Views of a part: some of its images whole or, of a large one, some rows of its groups."""
    each = part[0].numel() * part.element_size() * widest
    for images in ranges(part, len(part), each):
        some = part[images]
        if len(some) > 1:
            yield some
        else:
            yield from (some[:, rows] for rows in ranges(part, some.shape[1], each // some.shape[1]))


def whence(groups: Tensor, part: Tensor) -> Tensor:
    """Groups in the axes of the part that they were cut from."""
    _, i, h, j, w, _ = part.shape
    return rearrange(groups, "b (i j) (h w) c -> b i h j w c", i=i, j=j, h=h, w=w)


def cut(x: Tensor, partition: Partition, size: tuple[int, int]) -> tuple[Tensor, ...]:
    return tuple(rearrange(part, GROUPS).contiguous() for part in views(x, partition, size))


def join(parts: Sequence[Tensor], shape: torch.Size, partition: Partition, size: tuple[int, int]) -> Tensor:
    x = parts[0].new_empty(shape)
    if torch.compiler.is_compiling():  # they refuse to write into strides
        rest = iter(parts)
        bands = [partition.split(band, 3, size[1]) for band in partition.split(x, 1, size[0])]
        rows = [partition.merge([whence(next(rest), part) for part in band], 3) for band in bands]
        return partition.merge(rows, 1)
    for part, groups in zip(views(x, partition, size), parts, strict=True):
        part.copy_(whence(groups, part))
    return x


class Cut(torch.autograd.Function):
    """A map into the groups of its parts: a copy, and one more on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, partition: Partition, size: tuple[int, int]) -> tuple[Tensor, ...]:
        ctx.arguments = x.shape, partition, size
        return cut(x, partition, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return Join.apply(*ctx.arguments, *gradients), None, None


class Join(torch.autograd.Function):
    """The groups of all parts into a map: the other way round."""

    @staticmethod
    def forward(
        ctx: Any, shape: torch.Size, partition: Partition, size: tuple[int, int], *parts: Tensor
    ) -> Tensor:
        ctx.arguments = partition, size
        return join(parts, shape, partition, size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *Cut.apply(gradient, *ctx.arguments)
