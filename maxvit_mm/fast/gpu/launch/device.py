"""The GPU that a tensor is on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from torch import Tensor


def on_device_of(x: Tensor) -> AbstractContextManager:
    """Within it, kernels start on the GPU that has `x`, of several."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def processors_of(x: Tensor) -> int:
    """Multiprocessors of its GPU; a CPU, where kernels are interpreted in tests, has two."""
    return multiprocessors(x.device.index) if x.is_cuda else 2


@lru_cache
def multiprocessors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count
