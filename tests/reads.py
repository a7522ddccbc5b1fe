"""Where a program would wait for a GPU, shown without one: what reads a tensor's values, or sends some."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Their result, or its size, depends on values: on a GPU, the host waits until they are computed.
READS = {
    *("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique_dim", "_unique"),
    *("_unique2", "unique_consecutive", "unique_dim_consecutive", "argwhere"),
}
SENDS = "lift_fresh"  # what `torch.tensor(numbers, device=gpu)` and indexing by a list do


class CountedReads(TorchDispatchMode):
    """Notes every operator that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masked = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            mask is not None and mask.dtype in (torch.bool, torch.uint8) for mask in args[1]
        )
        if name in READS or name == SENDS or masked:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def counted_reads() -> Iterator[list[str]]:
    """The operators within that would wait for a GPU, in their order. `tolist` of a CPU's tensor is none."""
    counted = CountedReads()
    to_list = torch.Tensor.tolist

    def noted(tensor):
        counted.seen.append("tolist")
        return to_list(tensor)

    with patch.object(torch.Tensor, "tolist", noted), counted:
        yield counted.seen


@contextmanager
def no_reads() -> Iterator[None]:
    """Fails where something within would wait for a GPU."""
    with counted_reads() as seen:
        yield
    assert seen == []
