"""How many kernels a call launches on a GPU: with many small ones, the GPU waits for Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._library.custom_ops import OPDEFS
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from ..fast import precision
from ..network.twins import TWINS
from .timing import Run

# The runtime's and the driver's calls that start something on the GPU; Triton uses the driver's.
STARTS = ("cudaLaunchKernel", "cudaGraphLaunch", "cuLaunchKernel")
# Operators that start nothing on a GPU beside views; and those that start several kernels there.
NONE = {
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "promote_types"),
    *("detach", "_unsafe_view", "_reshape_alias", "lift_fresh", "set_", "resize_"),
}
SEVERAL = {
    **dict.fromkeys(("convolution_backward", "native_layer_norm_backward", "batch_norm_update_stats"), 2),
    **dict.fromkeys(("native_batch_norm", "native_batch_norm_backward"), 2),
}


def launches(run: Run, device: str) -> int | None:
    """Launches of one call, after a warm-up of it; None without a GPU, or one whose calls show."""
    if device != "cuda":
        return None
    run()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        run()
        torch.cuda.synchronize()
    return sum(event.count for event in profiled.key_averages() if event.key.startswith(STARTS)) or None


def estimated_launches(run: Run) -> Mapping[str, int]:
    """An estimate, without a GPU, of what one call would launch there, by operator and kernel.

    The call runs on the CPU by the twins of GPUs, whose kernels in Triton are counted instead of run: what it
    computes means nothing. How often PyTorch's operators launch is known by their name alone, so it is not
    what a profile on a GPU says, but near it. Sizes hardly matter; small ones do.

    Raises:
        ModuleNotFoundError: where Triton is not installed.
    """
    from ..fast.gpu.launch.device import not_run

    counted: Counter[str] = Counter()

    def tell(kernel: Any, _: tuple[int, ...]) -> None:
        counted[f"{kernel.fn.__module__.rpartition('.')[2]}.{kernel.fn.__name__}"] += 1

    def one_product(a: Tensor, b: Tensor) -> Tensor:
        counted["mm"] += 1  # which a CPU has to cast for
        return a.new_empty(len(a), b.shape[1], dtype=torch.float32)

    in_fp32 = patch.object(precision, "product_in_fp32", one_product)
    with gpus_rows_on_cpus(), not_run(tell), in_fp32, Counting(counted):
        run()
    return counted


@contextmanager
def gpus_rows_on_cpus() -> Iterator[None]:
    """Within it, the twins of GPUs run on a CPU, and no others."""
    before = dict(TWINS)
    TWINS.update(
        {
            seam: [row._replace(devices=("cpu",)) for row in rows if "cuda" in row.devices]
            for seam, rows in before.items()
        }
    )
    try:
        yield
    finally:
        TWINS.update(before)


class Counting(TorchDispatchMode):
    """Counts PyTorch's operators by the kernels that they start on a GPU."""

    def __init__(self, counted: Counter[str]):
        super().__init__()
        self.counted = counted

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func._schema.name, kwargs or {}
        if name in OPDEFS:  # an operator of ours, for what it does itself
            with self:
                return OPDEFS[name]._init_fn(*args, **kwargs)
        name = name.partition("::")[2]
        if not func.is_view and name not in NONE:
            self.counted[name] += SEVERAL.get(name, 1) + adds_a_bias(name, args)
        return func(*args, **kwargs)


def adds_a_bias(name: str, args: Any) -> int:
    """Kernels of a convolution for its bias: cuDNN's have none, so PyTorch adds it, and sums its gradient."""
    if name == "convolution":
        return int(args[2] is not None)
    return int(args[-1][2]) if name == "convolution_backward" else 0
