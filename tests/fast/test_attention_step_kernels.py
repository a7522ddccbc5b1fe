"""Partition attention with its products, trained, against float64: on a GPU or in Triton's interpreter."""

import copy

import pytest
import torch
from conftest import randomise

from maxvit_mm.fast.gpu import attention_step
from maxvit_mm.network.attention import PartitionAttention
from maxvit_mm.network.partition import Block, Grid
from maxvit_mm.network.twins import TWINS, why_not

(ROW,) = TWINS["PartitionAttention.forward"]
LIMITS = {torch.float32: 5e-6, torch.float16: 1e-2, torch.bfloat16: 5e-2}
SIZES = [(7, 7), (9, 8)]  # of groups that a tile holds, and of larger ones


def step(run, layer, x, size):
    """What comes out and every gradient, of a loss that reads every value."""
    layer, leaf = copy.deepcopy(layer), x.detach().clone().requires_grad_()
    out = run(layer, leaf, size)
    weights = torch.linspace(-1, 1, out.numel(), device=out.device, dtype=out.dtype).view(out.shape)
    (out * weights).sum().backward()
    return {"out": out.detach(), "x": leaf.grad, **{name: p.grad for name, p in layer.named_parameters()}}


def assert_right(layer, x, size):
    found = step(attention_step.train, layer, x, size)
    exact = copy.deepcopy(layer).cpu().double()
    expected = step(PartitionAttention.forward.plain, exact, x.cpu().double(), size)
    for name, wanted in expected.items():
        distance = (found[name].cpu().double() - wanted).abs().max()
        assert distance <= LIMITS[found["out"].dtype] * wanted.abs().max() + 1e-6, name
    return found


@pytest.mark.parametrize("partition", [Block, Grid])
@pytest.mark.parametrize("size", SIZES)
def test_a_step_equals_float64s(of_kernels, full_of_nan, partition, size):
    layer = randomise(PartitionAttention(64, partition, 7)).to(of_kernels)
    assert_right(layer, torch.randn(2, 5, 11, 64, device=of_kernels), size)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", [torch.float32, None], ids=["a map in fp32", "a map in 16 bits"])
def test_under_autocast_gradients_of_weights_are_in_fp32(of_kernels, full_of_nan, dtype, kind):
    if of_kernels.type == "cpu" and dtype == torch.bfloat16:
        pytest.skip("Triton's interpreter takes the bits of bfloat16 for numbers in a product")
    layer = randomise(PartitionAttention(32, Grid, 7)).to(of_kernels)
    with torch.autocast(of_kernels.type, dtype):
        found = assert_right(layer, torch.randn(1, 8, 9, 32, device=of_kernels).to(kind or dtype), (7, 7))
    assert found["out"].dtype == dtype
    assert all(found[name].dtype == torch.float32 for name, _ in layer.named_parameters())


def test_maps_and_gradients_of_any_strides_are_taken(of_kernels, full_of_nan):
    layer = randomise(PartitionAttention(32, Block, 7)).to(of_kernels)
    x = torch.randn(2, 32, 3, 5, device=of_kernels).permute(0, 2, 3, 1)
    found = []
    for run, precision in (
        (attention_step.train, torch.float32),
        (PartitionAttention.forward.plain, torch.float64),
    ):
        leaf = x.detach().to(precision).requires_grad_()
        run(copy.deepcopy(layer).to(precision), leaf, (7, 7)).sum().backward()  # all strides of it are 0
        found.append(leaf.grad)
    assert (found[0] - found[1]).abs().max() <= 5e-6 * found[1].abs().max()


def test_another_product_or_width_of_heads_is_refused_in_words(of_kernels):
    layer, x = PartitionAttention(64, Block, 7), torch.randn(1, 3, 3, 64, device=of_kernels)
    row = ROW._replace(devices=(of_kernels.type,))
    assert why_not(row, layer, x, (7, 7)) is None
    assert "for heads of 32 channels" in why_not(row, layer, x[..., :32], (7, 7))
    layer.attend = layer.attend
    assert "has a method of its own" in why_not(row, layer, x, (7, 7))
    del layer.attend
    layer.out = torch.nn.Linear(64, 64, bias=False)
    assert "out has no bias" in why_not(row, layer, x, (7, 7))
    assert "does not compute in torch.float64" in why_not(row, layer, x.double(), (7, 7))
