"""Maps taken in pieces that a CPU's caches hold.

A detector's maps are far larger than a cache, and what MBConv and FFN hold between their two products is four
times larger still. Written to memory and read again, it takes longer than it does to compute. So a CPU takes
a few groups, rows or images at a time: on the whole way without gradients, and with them inside the layers of
`lean`. GPUs, and compilers, take all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

PIECE = 2**22  # bytes of the widest tensor on the way: about the second-level caches of a few cores

_whole = False


@contextmanager
def whole() -> Iterator[None]:
    """Within it, all of a map at once and by PyTorch's public operations: to count them, or to compare."""
    global _whole
    before, _whole = _whole, True
    try:
        yield
    finally:
        _whole = before


def is_whole() -> bool:
    return _whole or torch.compiler.is_compiling()


def in_pieces(x: Tensor) -> bool:
    """Whether `x` is to go through a layer in pieces, and may be overwritten, as nobody asks for gradients.

    Statistics of a batch, and what is drawn for each image, are of the whole of it: layers ask for them
    themselves.
    """
    return (
        x.device.type == "cpu"
        and len(x) > 0
        and x.dtype in (torch.float32, torch.bfloat16)
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not is_whole()
    )


def ranges(x: Tensor, length: int, bytes_each: int) -> Iterator[slice]:
    """Slices of `length` things made of `x`: as many in each as a piece holds, one at least."""
    step = max(1, PIECE // max(1, bytes_each)) if x.device.type == "cpu" else max(1, length)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def image_ranges(x: Tensor) -> Iterator[slice]:
    """Slices of a batch."""
    return ranges(x, len(x), x[:1].nbytes)
