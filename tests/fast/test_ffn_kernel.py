"""The FFN on a GPU, both ways, against float64: there or in Triton's interpreter."""

import copy

import pytest
import torch
from conftest import randomise

from maxvit_mm.fast.gpu import ffn
from maxvit_mm.network.attention import FFN
from maxvit_mm.network.twins import TWINS, why_not

LIMITS = {torch.float32: 3e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}
(ROW,) = (row for row in TWINS["FFN.forward"] if row.run is ffn.train)
GELUS = pytest.mark.parametrize("gelu", ["tanh", "none"])


def step(run, layer, x):
    layer, leaf = copy.deepcopy(layer), x.detach().clone().requires_grad_()
    out = run(layer, leaf)
    (out * torch.linspace(-1, 1, out.numel()).to(out).view(out.shape)).sum().backward()
    return {"out": out.detach(), "x": leaf.grad, **{name: p.grad for name, p in layer.named_parameters()}}


def assert_right(layer, x):
    found = step(ffn.train, layer, x)
    expected = step(FFN.forward.plain, copy.deepcopy(layer).double().cpu(), x.double().cpu())
    for name, wanted in expected.items():
        distance = (found[name].double().cpu() - wanted).abs().max()
        assert distance <= LIMITS[x.dtype] * wanted.abs().max(), name
        assert found[name].dtype == (x.dtype if name in ("out", "x") else layer[0].weight.dtype)


@GELUS
@pytest.mark.parametrize("size", [(2, 3, 5, 32), (1, 1, 1, 24), (7, 9, 3, 8), (4, 20)])
def test_a_step_equals_float64s(of_kernels, full_of_nan, size, gelu):
    assert_right(randomise(FFN(size[-1], gelu)).to(of_kernels), torch.randn(size, device=of_kernels))


def test_several_shares_of_tokens_and_tiles_of_channels_meet(of_kernels, full_of_nan, monkeypatch):
    monkeypatch.setattr("maxvit_mm.fast.gpu.launch.ffn.PROGRAMS_AN_SM", 4)
    monkeypatch.setattr("maxvit_mm.fast.gpu.launch.ffn.TILE", dict(PLACES=4, CHANNELS=32, num_warps=4))
    assert_right(randomise(FFN(20, "tanh")).to(of_kernels), torch.randn(23, 20, device=of_kernels))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_network_that_is_cast_is_computed_in_fp32_inside(of_kernels, full_of_nan, dtype):
    layer = randomise(FFN(32, "tanh")).to(of_kernels, dtype)
    assert_right(layer, torch.randn(2, 3, 32, device=of_kernels).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_under_autocast_gradients_of_weights_are_in_fp32(of_kernels, full_of_nan, dtype):
    layer = randomise(FFN(32, "tanh")).to(of_kernels)
    with torch.autocast(of_kernels.type, dtype):
        assert_right(layer, torch.randn(2, 3, 32, device=of_kernels).to(dtype))
        assert ffn.train(layer, torch.randn(2, 3, 32, device=of_kernels)).dtype == dtype  # as a product's


def test_maps_and_gradients_of_any_strides_are_taken(of_kernels, full_of_nan):
    layer = randomise(FFN(16, "tanh")).to(of_kernels)
    x = torch.randn(2, 16, 3, 5, device=of_kernels).permute(0, 2, 3, 1)
    found = []
    for run, precision in ((ffn.train, torch.float32), (FFN.forward.plain, torch.float64)):
        leaf = x.detach().to(precision).requires_grad_()
        run(copy.deepcopy(layer).to(precision), leaf).sum().backward()  # of whose gradient all strides are 0
        found.append(leaf.grad)
    assert (found[0] - found[1]).abs().max() <= 3e-6 * found[1].abs().max()


def test_two_runs_are_equal_to_the_last_bit(of_kernels):
    layer, x = randomise(FFN(32, "tanh")).to(of_kernels), torch.randn(3, 7, 32, device=of_kernels)
    one, other = (step(ffn.train, layer, x) for _ in range(2))
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize("trained", ["0.weight", "0.bias", "2.weight", "2.bias"])
def test_weights_that_are_frozen_get_no_gradient(of_kernels, trained):
    layer, x = randomise(FFN(16, "tanh")).to(of_kernels), torch.randn(3, 5, 16, device=of_kernels)
    expected = step(ffn.train, layer, x)[trained]
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == trained)
    ffn.train(layer, x).mul(torch.linspace(-1, 1, x.numel()).to(x).view(x.shape)).sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is None if name != trained else parameter.grad.equal(expected)


@GELUS
@pytest.mark.parametrize("dtype", LIMITS, ids=str)
def test_inference_equals_float64s(of_kernels, full_of_nan, gelu, dtype):
    layer, x = randomise(FFN(32, gelu)).to(of_kernels, dtype), torch.randn(2, 3, 5, 32, device=of_kernels)
    with torch.no_grad():
        found = ffn.infer(layer, x.to(dtype))
        expected = FFN.forward.plain(copy.deepcopy(layer).double(), x.to(dtype).double())
    assert found.dtype == dtype
    assert (found - expected).abs().max() <= LIMITS[dtype] * expected.abs().max()


def test_it_says_what_it_is_not_for(of_kernels):
    layer, x = FFN(16, "tanh").to(of_kernels), torch.randn(2, 16, device=of_kernels)
    row = ROW._replace(devices=(of_kernels.type,))
    assert why_not(row, layer, x) is None
    assert "does not compute in torch.float64" in why_not(row, layer.double(), x.double())
    layer[0].bias = None
    assert "0 has no bias" in why_not(row, layer.float(), x)
