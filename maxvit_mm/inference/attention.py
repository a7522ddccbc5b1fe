"""What the attention layers of a MaxViT attend to, read from one pass of an image through it.

A layer computes `A v`, and its matrix `A` is as large as the map squared. It is never built: the derivative
of `A v` with respect to `v` is `A` itself, so autograd multiplies a row vector by `A` through the layer's own
code, group by group, for any size of map and any partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from ..network import Trunk
from ..network.attention import PartitionAttention
from ..network.trunk import MaxViTBlock
from ..network.twins import plain
from ..network.variants import HEAD_WIDTH

Average = Callable[[Tensor], Tensor]  # [n, 1, height, width] to a smaller map: a shortcut's pooling


class Attended(NamedTuple):
    """An attention layer and what it was given.

    Attributes:
        layer: which partition it has, block or grid, is its own.
        qkv: queries, keys and values [1, height, width, 3 * width of the stage].
        size: of the partition, down and across.
    """

    layer: PartitionAttention
    qkv: Tensor
    size: tuple[int, int]

    def looks_at(self, weights: Tensor, head: int | None = None) -> Tensor:
        """`weights A`: where places look, on average when there are several with a weight each.

        Args:
            weights: of the places that look, [n, height, width], n cases. A single 1 gives a row of `A`.
            head: one of the layer's; without it, the mean of all heads.

        Returns:
            [n, height, width]; where the weights of a case add up to 1, these do.

        Raises:
            ValueError: for a head that the layer does not have.
        """
        heads = self.layer.heads
        if head is not None and not 0 <= head < heads:
            raise ValueError(f"this stage has {heads} heads, 1 to {heads}: there is no head {head + 1}")
        share = self.qkv.new_full((heads,), 1 / heads)
        if head is not None:
            share = torch.eye(heads).to(share)[head]
        # A head's values have HEAD_WIDTH channels, all weighted alike: so many cases go through at once.
        return torch.cat([self._looks_at(part, share) for part in weights.split(HEAD_WIDTH)])

    def _looks_at(self, weights: Tensor, share: Tensor) -> Tensor:
        queries_and_keys, v = self.qkv.split([2 * self.qkv.shape[-1] // 3, self.qkv.shape[-1] // 3], -1)
        with torch.enable_grad(), plain(self.layer):
            v = torch.zeros_like(v).requires_grad_()  # `A` does not depend on it
            out = self.layer.attend(torch.cat([queries_and_keys, v], -1), self.size)
        looking = torch.zeros_like(out)
        by_head = rearrange(looking, "1 y x (m d) -> y x m d", m=len(share))  # a view
        by_head[..., : len(weights)] = rearrange(weights, "n y x -> y x 1 n") * share[:, None]
        (back,) = torch.autograd.grad(out, v, looking)
        return rearrange(back, "1 y x (m d) -> d m y x", m=len(share)).sum(1)[: len(weights)]


class SeenBlock(NamedTuple):
    """A MaxViT block after an image went through: block attention, then grid attention.

    Attributes:
        pool: the average of the MBConv's shortcut where it halves the map; None where it does not.
        entered: height and width of the map that the block got.
    """

    pool: Average | None
    entered: tuple[int, int]
    block: Attended
    grid: Attended


@contextmanager
def watching(trunk: Trunk) -> Iterator[list[list[SeenBlock]]]:
    """Within it, an image that goes through fills the list: of stages, of their blocks.

    The network runs as it is written, without twins. A second image takes the place of the first.
    """
    stages = [cast(list[MaxViTBlock], list(stage.children())) for stage in trunk.stages]
    seen: list[list[SeenBlock]] = []
    inside: dict[nn.Module, Any] = {}
    handles = []

    def begin(*_: Any) -> None:
        inside.clear()

    def attended(layer: nn.Module, given: tuple[Tensor, tuple[int, int]], _: Tensor) -> None:
        assert isinstance(layer, PartitionAttention)
        x, size = given
        with torch.no_grad():
            inside[layer] = Attended(layer, layer.qkv(x[:1]).detach(), size)

    def entered(mbconv: nn.Module, given: tuple[Tensor]) -> None:
        inside[mbconv] = tuple(given[0].shape[-2:])

    def end(*_: Any) -> None:
        seen[:] = [[seen_block(block, inside) for block in blocks] for blocks in stages]

    handles += [trunk.register_forward_pre_hook(begin), trunk.register_forward_hook(end)]
    for block in (block for blocks in stages for block in blocks):
        handles.append(block.mbconv.register_forward_pre_hook(entered))
        for half in (block.block_attention, block.grid_attention):
            handles.append(half.attention.register_forward_hook(attended))
    try:
        with plain(trunk):
            yield seen
    finally:
        for handle in handles:
            handle.remove()


def seen_block(block: MaxViTBlock, inside: dict[nn.Module, Any]) -> SeenBlock:
    mbconv = block.mbconv
    return SeenBlock(
        None if isinstance(mbconv.pool, nn.Identity) else mbconv.pool,
        inside[mbconv],
        inside[block.block_attention.attention],
        inside[block.grid_attention.attention],
    )


def at_cells(cells: Sequence[tuple[int, int]], height: int, width: int) -> Tensor:
    """Weights [1, height, width] of places (row, column) that look together, equal and 1 in all."""
    weights = torch.zeros(1, height, width)
    for row, column in cells:
        weights[0, row, column] = 1 / len(cells)
    return weights
