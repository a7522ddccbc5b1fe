"""A kernel, started on the GPU that a tensor is on."""

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


def processors_of(x: Tensor) -> int:
    """Multiprocessors of its GPU; a CPU, where kernels are interpreted in tests, has two."""
    return multiprocessors(x.device.index) if x.is_cuda else 2


@lru_cache
def multiprocessors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count
