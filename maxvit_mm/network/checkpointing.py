"""Activation checkpointing: keep a block's input, compute the rest again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpointed(block: nn.Module) -> Callable[..., Tensor]:
    """`block`, to be called in its place: the same outputs, gradients and running statistics."""

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), statistics_untouched(block)

    return partial(checkpoint, block, use_reentrant=False, context_fn=contexts)


@contextmanager
def statistics_untouched(block: nn.Module) -> Iterator[None]:
    """The second forward pass counts its batch into copies, as the first has counted it already."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    kept = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    for norm, buffers in zip(norms, kept, strict=True):
        for name, buffer in buffers.items():
            setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
