"""The grids of all kernels, of batches and maps that are too large to run: within the limits of CUDA."""

import pytest
import torch
from conftest import randomise

from maxvit_mm.fast.gpu import reasons
from maxvit_mm.network.trunk import MaxViTBlock
from maxvit_mm.network.twins import TWINS

MOST = 2**31 - 1, 2**16 - 1, 2**16 - 1  # programs along each axis


@pytest.fixture
def grids(of_kernels, monkeypatch):
    """The grids of kernels, by name, that are started for maps without numbers."""
    from maxvit_mm.fast.gpu.launch.device import not_run  # which imports Triton

    for seam, rows in TWINS.items():
        of_gpu = [row._replace(devices=("meta",)) for row in rows if row.name == "cuda"]
        monkeypatch.setitem(TWINS, seam, of_gpu)
    monkeypatch.setattr(reasons, "of_device", lambda *_: None)
    found = []

    def tell(kernel, grid):
        found.append((f"{kernel.fn.__module__.rpartition('.')[2]}.{kernel.fn.__name__}", grid))

    with not_run(tell):
        yield found


@pytest.mark.parametrize("partition", [(7, 7), (30, 30)], ids=["in a tile", "of many tokens"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(200_000, 14, 14), (3, 2_000_000, 4), (2, 3, 2_000_000)], ids=str)
def test_no_batch_and_no_map_is_too_large_for_a_grid(grids, size, training, stride, partition):
    block = randomise(MaxViTBlock(64, 64, stride, 7, 0.5)).train(training).to("meta")
    x = torch.empty(size[0], 64, *size[1:], device="meta", requires_grad=training)
    with torch.set_grad_enabled(training):
        out = block(x, partition)
        if training:
            out.sum().backward()
    names = {"depthwise.forward", "residual.forward", *(["gate.gated", "ffn.backward"] if training else [])}
    assert names < {name for name, _ in grids}
    for name, grid in grids:
        axes = zip(grid, MOST[: len(grid)], strict=True)
        assert all(0 < number <= most for number, most in axes), (name, grid)
    assert max(grid[0] for _, grid in grids) > MOST[1]  # which the others do not hold
