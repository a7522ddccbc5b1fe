"""Weights of deployed layers in the order in which oneDNN's products read them.

oneDNN cuts a matrix into blocks that suit the processor's registers, at every call. What a deployed layer
multiplies by stays as it is, so that its blocks are kept beside it: for as long as the weight lives.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.weak import WeakTensorKeyDictionary


class _Blocks(NamedTuple):
    memory: StorageWeakRef  # of the weight they were made of, which it may leave
    state: tuple[Any, ...]
    blocks: Tensor


_kept: MutableMapping[Tensor, _Blocks] = WeakTensorKeyDictionary()


def keep_packed(*layers: nn.Linear | nn.Conv2d) -> None:
    """Have `matrix` return the weights of these layers, linear ones or 1x1 convolutions, in blocks."""
    for layer in layers:
        layer.__dict__["_keeps_packed"] = True


def is_kept_packed(layer: nn.Module) -> bool:
    return "_keeps_packed" in layer.__dict__


def matrix(layer: nn.Linear | nn.Conv2d) -> Tensor:
    """The weight [outputs, inputs] that oneDNN's linear operators are to take: in blocks if they are kept."""
    return packed(layer.weight) if is_kept_packed(layer) else layer.weight.flatten(1)


def packed(weight: Tensor) -> Tensor:
    """`weight` in blocks, made anew when it has been written to, cast or replaced.

    PyTorch does not count what is written to `weight.data`: a deployed network is not to be written to so.
    """
    if weight.is_inference():  # nothing that is written to it is counted
        return weight.flatten(1)
    memory = StorageWeakRef(weight.untyped_storage())
    state = weight.dtype, weight.storage_offset(), weight.shape, weight.stride(), weight._version
    kept = _kept.get(weight)
    if kept is None or kept.memory != memory or kept.state != state:
        blocks = torch.ops.mkldnn._reorder_linear_weight(weight.detach().flatten(1))
        kept = _kept[weight] = _Blocks(memory, state, blocks)
    return kept.blocks
