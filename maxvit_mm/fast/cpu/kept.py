"""What is computed from the final weights of deployed layers once, and kept for as long as they live.

oneDNN cuts a matrix into blocks that suit the processor's registers, at every call, and attention looks up
the bias of every pair of tokens in its table. What a deployed layer multiplies by and adds stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, MutableMapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.weak import WeakTensorKeyDictionary

from ...network.relative_bias import relative_bias, resize_table


class _Kept(NamedTuple):
    memory: StorageWeakRef  # of the weight it was made of, which it may leave
    state: tuple[Any, ...]
    made: dict[Hashable, Tensor]


_kept: MutableMapping[Tensor, _Kept] = WeakTensorKeyDictionary()


def kept(weight: Tensor) -> dict[Hashable, Tensor] | None:
    """What is kept of a weight: nothing yet once it has been written to, cast or replaced.

    PyTorch does not count what is written to `weight.data`: a deployed network is not to be written to so.
    None where it does not count at all.
    """
    if weight.is_inference():
        return None
    memory = StorageWeakRef(weight.untyped_storage())
    state = weight.dtype, weight.storage_offset(), weight.shape, weight.stride(), weight._version
    known = _kept.get(weight)
    if known is None or known.memory != memory or known.state != state:
        known = _kept[weight] = _Kept(memory, state, {})
    return known.made


def look_up(weight: Tensor, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
    """What is kept of a weight under `key`, made if it is not there."""
    made = kept(weight)
    if made is None:
        return make()
    if key not in made:
        made[key] = make()
    return made[key]


def packed(weight: Tensor) -> Tensor:
    """A matrix, [outputs, inputs] or a 1x1 convolution's, in the order in which oneDNN's products read it."""

    def pack() -> Tensor:
        return torch.ops.mkldnn._reorder_linear_weight(weight.detach().flatten(1))

    return weight.flatten(1) if weight.is_inference() else look_up(weight, "packed", pack)


def bias_for(table: Tensor, size: tuple[int, int], h: int, w: int, keep: bool) -> Tensor:
    """The bias of groups of `h x w` in a partition of `size`, kept for one size of partition at a time.

    Those of one partition are small; a partition scaled with the image has large ones, which another size
    of image would only add to.
    """

    def read() -> Tensor:
        return relative_bias(resize_table(table, size), h, w)

    if not keep:
        return read()
    for other in [other for other in kept(table) or {} if other[:2] != size]:  # type: ignore[index]
        del _kept[table].made[other]
    return look_up(table, (*size, h, w), read)
