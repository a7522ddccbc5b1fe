"""A kernel, started on the GPU that a tensor is on, and the numbers of its grid.

Small batches wait for Python. Triton's own functions for such numbers serve kernels as well, and take twenty
times as long on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

_told: list[Callable[[Any, tuple[int, ...]], None]] = []  # of kernels, which then are not run


def start(kernel: Any, grid: tuple[int, ...], x: Tensor, /, *arguments: Any, **options: Any) -> None:
    """Run `kernel` with `x` and the other arguments, on the GPU that has `x`, of several."""
    if _told:
        _told[-1](kernel, grid)
    elif x.is_cuda and x.device.index != torch.cuda.current_device():
        with torch.cuda.device(x.device):
            kernel[grid](x, *arguments, **options)
    else:
        kernel[grid](x, *arguments, **options)


@contextmanager
def not_run(tell: Callable[[Any, tuple[int, ...]], None]) -> Iterator[None]:
    """Within it, no kernel is run: `tell` is told of each and its grid, where there is no GPU."""
    _told.append(tell)
    try:
        yield
    finally:
        _told.pop()


def cdiv(number: int, size: int) -> int:
    """How many of that size hold so many."""
    return -(-number // size)


def power_of_2(number: int) -> int:
    """The least that is not smaller."""
    return 1 << (number - 1).bit_length()


def processors_of(x: Tensor) -> int:
    """Multiprocessors of its GPU; a CPU, where kernels are interpreted in tests, has two."""
    return multiprocessors(x.device.index) if x.is_cuda else 2


@lru_cache
def multiprocessors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count
