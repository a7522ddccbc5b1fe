"""Layers as compilers see them at inference: one operator each, of which they know the shape alone.

How a map falls into groups depends on its size in ways that a compiler would have to reason through, for
minutes and again for other sizes. With a layer as one operator, a graph compiled for any size holds for all.
And on a CPU the layers in pieces are faster than the code that PyTorch's compiler makes of them whole.

An operator takes tensors and plain values. So a layer goes in as its tensors and its make, the plain values
that it can be built from again, in JSON. It is left to the compiler where it trains, where a hook or an
adapter makes it more than that, and in what is exported for elsewhere.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

BUILDERS: dict[str, Callable[..., nn.Module]] = {}  # what makes a layer, by the first word of its make
LAYOUTS = (torch.contiguous_format, torch.channels_last)
OURS = __name__.partition(".")[0] + "."


def is_opaque(layer: nn.Module) -> bool:
    """Whether `layer` is to be an operator."""
    if not torch.compiler.is_compiling() or torch.compiler.is_exporting() or torch.is_grad_enabled():
        return False
    return all(map(is_as_made, layer.modules()))


def is_as_made(module: nn.Module) -> bool:
    hooked = module._forward_hooks or module._forward_pre_hooks
    return not module.training and not hooked and type(module).__module__.startswith(("torch.nn.", OURS))


def as_operator(
    layer: nn.Module, make: str, x: Tensor, size: Sequence[int], shape: Sequence[int], channels_first: bool
) -> Tensor:
    """`layer(x, size)` in one operator, without gradients.

    Args:
        make: what `BUILDERS` can build such a layer from.
        size: the partition size.
        shape: of what comes out.
        channels_first: whether `x` and what comes out are `[b, c, height, width]`, or `[b, height, width,
            c]`; in memory channels are last always.
    """
    device = x.device.type
    cast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    precision = torch.get_autocast_dtype(device) if cast else None
    tensors = [*layer.parameters(), *layer.buffers()]
    return _run(x, tensors, make, size, shape, channels_first, precision)


@cache
def empty_layer(make: str, thread: int) -> Any:
    """A layer of that make to put tensors into, which is not to be done in two threads at a time."""
    kind, *values = json.loads(make)
    with torch.device("meta"):
        return BUILDERS[kind](*values).eval()


@torch.library.custom_op("maxvit_mm::layer", mutates_args=())
def _run(
    x: Tensor,
    tensors: Sequence[Tensor],
    make: str,
    size: Sequence[int],
    shape: Sequence[int],
    channels_first: bool,
    precision: torch.dtype | None,
) -> Tensor:
    layer = empty_layer(make, threading.get_ident())
    names = [name for name, _ in (*layer.named_parameters(), *layer.named_buffers())]
    given = dict(zip(names, tensors, strict=True))
    x = x if channels_first else x.clone()  # a layer of groups overwrites its input
    with torch.no_grad(), nullcontext() if precision is None else torch.autocast(x.device.type, precision):
        return functional_call(layer, given, (x, tuple(size))).contiguous(
            memory_format=LAYOUTS[channels_first]
        )


@_run.register_fake
def _(
    x: Tensor,
    tensors: Sequence[Tensor],
    make: str,
    size: Sequence[int],
    shape: Sequence[int],
    channels_first: bool,
    precision: torch.dtype | None,
) -> Tensor:
    layout = LAYOUTS[channels_first]
    return torch.empty(shape, dtype=precision or x.dtype, device=x.device, memory_format=layout)
