"""BatchNorm behind a product, from the narrow map alone, against float64: on a GPU or in the interpreter."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

CASES = [(1, 16, 64), (35, 20, 70), (130, 70, 24)]  # tokens, channels and outputs: no tile of them is full


@pytest.fixture
def launch(of_kernels, monkeypatch):
    """What starts the kernels, and where; so that some tokens make several shares."""
    from maxvit_mm.fast.gpu.launch import product, statistics  # which import Triton

    monkeypatch.setattr(product, "SHORTEST_SHARE", 48)
    monkeypatch.setattr(product, "READERS_AN_SM", 16)
    monkeypatch.setattr(product, "TOKENS", 32)
    return SimpleNamespace(product=product, statistics=statistics, device=of_kernels)


def assert_near(found, expected, limit=2e-5):
    assert found.isfinite().all()
    assert (found.double() - expected).abs().max() <= limit * expected.abs().max()


def given(tokens, channels, outputs, device, far=0.0, dtype=torch.float32):
    n = (far + torch.randn(tokens, channels) * torch.linspace(0.5, 2, channels)).to(device, dtype)
    return n, (torch.randn(outputs, channels) / channels**0.5).to(device, dtype)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("far", [0.0, 1000.0])
def test_statistics_of_a_product_equal_float64s_however_far_the_mean_is(launch, full_of_nan, case, far):
    n, weight = given(*case, launch.device, far)
    norm, truth = (
        nn.BatchNorm1d(case[2], momentum=0.25).to(launch.device, d) for d in (torch.float32, torch.float64)
    )
    for each in (norm, truth):
        with torch.no_grad():
            each.weight.copy_(torch.linspace(0.5, 2, case[2]))
            each.bias.copy_(torch.linspace(-1, 1, case[2]))
    found, by_scatter, mean = launch.product.statistics(n, weight)
    numbers = launch.statistics.Norm(*launch.statistics.at_statistics(norm, found))
    z = n.double() @ weight.double().t()
    assert_near(mean, n.double().mean(0), 1e-5)
    centred = n.double() - n.double().mean(0)
    assert_near(by_scatter + 1e-6, weight.double() @ centred.t() @ centred + 1e-6, 2e-4 if far else 2e-5)
    assert_near(numbers.mean, z.mean(0), 1e-5)
    assert_near(numbers.variance + 1e-6, z.var(0, correction=0) + 1e-6, 2e-4 if far else 2e-5)
    assert_near(numbers.inverse, (numbers.variance + norm.eps).double().rsqrt())
    assert_near(numbers.scale, (norm.weight * numbers.inverse).double())
    assert_near(numbers.shift, (norm.bias - numbers.mean * numbers.scale).double(), 1e-5)
    if case[0] > 1:
        truth(z)
        assert norm.num_batches_tracked.equal(truth.num_batches_tracked)
        assert_near(norm.running_mean, truth.running_mean, 1e-5)
        assert_near(norm.running_var, truth.running_var, 2e-4)


@pytest.mark.parametrize("case", CASES[1:])
@pytest.mark.parametrize("of_batch", [True, False], ids=["statistics of the batch", "frozen statistics"])
def test_gradients_of_a_product_with_its_norm_equal_float64s(launch, full_of_nan, case, of_batch):
    """Of a gradient with a mean, and of a map with one, which the norm is to take away."""
    n, weight = given(*case, launch.device, far=1.0)
    scale, per_z, per_one = torch.randn(3, case[2], device=launch.device)
    if not of_batch:
        per_z, per_one = per_z.zero_(), per_one.zero_()
    g = 0.3 + torch.randn(case[0], case[2], device=launch.device)
    of_product = launch.product.statistics(n, weight) if of_batch else None
    of_n, of_weight = launch.product.backward(g, n, weight, scale, g.sum(0), (per_z, per_one), of_product)
    wide = [each.double() for each in (g, n, weight, scale, per_z, per_one)]
    g, n, weight, scale, per_z, per_one = wide
    of_z = g * scale + n @ weight.t() * per_z + per_one
    assert_near(of_n, of_z @ weight)
    assert_near(of_weight, of_z.t() @ n)
    assert of_weight.dtype == torch.float32


def test_a_map_in_16_bits_has_its_statistics_and_a_weights_gradient_in_fp32(launch, full_of_nan):
    n, weight = given(*CASES[1], launch.device, dtype=torch.float16)
    found, _, _ = launch.product.statistics(n, weight)
    z = n.double() @ weight.double().t()
    assert_near(found[0, 1], z.mean(0), 1e-5)
    assert_near(found[0, 2] / len(n), z.var(0, correction=0), 2e-3)  # of distances as they are rounded
    g, numbers = torch.randn_like(z).half(), torch.ones(3, len(weight), device=launch.device)
    of_product = launch.product.statistics(n, weight)
    of_bias = g.sum(0, dtype=torch.float32)
    of_n, of_weight = launch.product.backward(g, n, weight, numbers[0], of_bias, numbers[1:], of_product)
    of_z = g.double() + z + 1
    assert of_n.dtype == torch.float16
    assert_near(of_n, of_z @ weight.double(), 5e-3)
    assert_near(of_weight, of_z.t() @ n.double(), 2e-3)


def test_one_token_far_from_all_others_takes_nothing_from_the_statistics(launch, full_of_nan):
    """As in a corner of an image, where padding and attention leave what is nowhere else."""
    n, weight = given(*CASES[2], launch.device, dtype=torch.float16)
    n[0] += 100
    found, _, mean = launch.product.statistics(n, weight)
    z = n.double() @ weight.double().t()
    assert_near(mean, n.double().mean(0), 1e-5)
    assert_near(found[0, 1], z.mean(0), 1e-5)
    assert_near(found[0, 2] / len(n), z.var(0, correction=0), 2e-3)


@pytest.mark.parametrize("channels", [20, 128])
def test_means_that_are_to_cancel_do_so_in_16_bits(launch, full_of_nan, channels):
    """Of a gradient that is mostly a mean, which the statistics of a batch take away, whatever is rounded."""
    n, weight = given(400, channels, 70, launch.device, far=10.0, dtype=torch.float16)
    g = (3 * torch.randn(70) + torch.randn(400, 70)).half().to(launch.device)
    z, scale = n.double() @ weight.double().t(), torch.linspace(0.5, 2, 70, dtype=torch.float64).to(n.device)
    inverse = z.var(0, correction=0).rsqrt()
    hat = (z - z.mean(0)) * inverse
    scale, by_hat = scale * inverse, (g.double() * hat).mean(0)
    per_z = -scale * inverse * by_hat
    per_one = -scale * g.double().mean(0) - per_z * z.mean(0)
    expected = (g.double() * scale + z * per_z + per_one) @ weight.double()
    numbers = [each.float() for each in (scale, g.double().sum(0), per_z, per_one)]
    of_product = launch.product.statistics(n, weight)
    of_n, _ = launch.product.backward(g, n, weight, *numbers[:2], numbers[2:], of_product)
    assert expected.mean(0).abs().max() < 1e-9
    assert of_n.double().mean(0).abs().max() < 1e-4 * expected.std()
    assert_near(of_n, expected, 1e-3)


def test_two_runs_are_equal_to_the_last_bit(launch):
    n, weight = given(*CASES[2], launch.device)
    one, other = (launch.product.statistics(n, weight) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(one, other, strict=True))
