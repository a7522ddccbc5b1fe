"""Maps taken in pieces that a CPU's caches hold.

A detector's maps are far larger than a cache, and what MBConv and FFN hold between their two products is four
times larger still. Written to memory and read again, it takes longer than it does to compute. So a CPU takes
a few groups, rows or images at a time. Other devices take all at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ...network.partition import Partition

PIECE = 2**22  # bytes of the widest tensor on the way: about the second-level caches of a few cores


def ranges(x: Tensor, length: int, bytes_each: int) -> Iterator[slice]:
    """Slices of `length` things made of `x`: as many in each as a piece holds, one at least."""
    step = max(1, PIECE // max(1, bytes_each)) if x.device.type == "cpu" else max(1, length)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def image_ranges(x: Tensor) -> Iterator[slice]:
    """Slices of a batch."""
    return ranges(x, len(x), x[:1].nbytes)


def token_ranges(tokens: Tensor, width: int) -> list[slice]:
    """Slices of `tokens: [tokens, c]`, for what is `width` channels wide on the way."""
    return list(ranges(tokens, len(tokens), width * tokens.element_size()))


def parts(x: Tensor, partition: Partition, size: tuple[int, int]) -> Iterator[Tensor]:
    """Views of a map [b, height, width, c], [b, i, h, j, w, c] each, one for each size of group."""
    for rows in partition.split(x, 1, size[0]):
        yield from partition.split(rows, 3, size[1])


def pieces(part: Tensor, bytes_a_token: int) -> Iterator[tuple[slice, slice]]:
    """Where in a part its pieces are: some images whole or, of a large one, some rows of its groups.

    Args:
        part: [b, i, h, j, w, c].
        bytes_a_token: of the widest tensor on the way.
    """
    images, rows = part.shape[:2]
    row_bytes = part.shape[2:5].numel() * bytes_a_token
    for some in ranges(part, images, row_bytes * rows):
        if some.stop - some.start > 1:
            yield some, slice(None)
        else:
            yield from ((some, here) for here in ranges(part, rows, row_bytes))
