"""How many kernels a call launches on a GPU: with many small ones, the GPU waits for Python."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from .timing import Run

# The runtime's and the driver's calls that start something on the GPU; Triton uses the driver's.
STARTS = ("cudaLaunchKernel", "cudaGraphLaunch", "cuLaunchKernel")


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
