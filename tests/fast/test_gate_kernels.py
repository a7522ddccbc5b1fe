"""The small kernels around an MBConv's gate and norms, in Triton, against float64 at sizes of their own."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from maxvit_mm.fast.cpu.narrow import gate as as_written

# Images, channels and squeezed width: more images than a tile has, widths that tiles do not divide.
SIZES = [(2, 64, 16), (19, 70, 20), (1, 24, 3), (33, 16, 33)]


@pytest.fixture
def launch(of_kernels):
    from maxvit_mm.fast.gpu.launch import excitation, statistics  # which import Triton

    return SimpleNamespace(excitation=excitation, statistics=statistics, device=of_kernels)


def tensors_of_gate(channels, width, device):
    shapes = (width, channels), (width,), (channels, width), (channels,)
    return [torch.randn(shape, device=device) / shape[-1] ** 0.5 for shape in shapes]


def assert_near(found, wanted, limit=2e-6):
    assert (found.double() - wanted).abs().max() <= limit * wanted.abs().max()


@pytest.mark.parametrize(("images", "channels", "width"), SIZES)
def test_a_gate_and_its_gradients_equal_float64s(launch, full_of_nan, images, channels, width):
    """The norm's as well: they are sums over images, of what the kernel before has summed over places."""
    places, device = 12, launch.device
    of_gate = tensors_of_gate(channels, width, device)
    total = torch.randn(images, channels, device=device)
    factor, mean, r = launch.excitation.gate(total, places, of_gate, torch.float32)
    leaves = [each.double().requires_grad_() for each in (total / places, *of_gate)]
    expected = as_written(*leaves)
    assert_near(factor, expected.detach())
    assert_near(mean, leaves[0].detach())
    assert launch.excitation.gate(total, places, of_gate, torch.float16)[0].dtype == torch.float16

    sums = torch.randn(images, 5, channels, device=device)
    norm = launch.statistics.Norm(*(0.5 + torch.rand(5, channels, device=device)))
    found = launch.excitation.gate_backward(sums, factor, mean, r, of_gate, norm, places, True)
    of_mean, *of_weights = torch.autograd.grad(expected, leaves, sums[:, 0].double())
    for one, wanted in zip(found[0], of_weights, strict=True):
        assert_near(one, wanted, 5e-6)
    factor, constant = expected.detach(), of_mean / places
    of_bias = (factor * sums[:, 1] + constant * sums[:, 3]).sum(0)
    of_weight = (factor * sums[:, 2] + constant * sums[:, 4]).sum(0) * norm.inverse
    per_z = -norm.scale * norm.inverse * of_weight / (images * places)
    per_one = -norm.scale * of_bias / (images * places) - per_z * norm.mean
    wanted = [of_weight, of_bias, factor * norm.scale, constant * norm.scale, per_z, per_one]
    for one, other in zip([*found[1], *found[2]], wanted, strict=True):
        assert_near(one, other, 2e-5)
    frozen = launch.excitation.gate_backward(
        sums, *found_inputs(factor, mean, r), of_gate, norm, places, False
    )
    assert not frozen[2][2].any()
    assert not frozen[2][3].any()


def found_inputs(factor, mean, r):
    return factor.float(), mean, r


def test_partial_statistics_of_many_rows_are_put_together(launch, full_of_nan):
    rows, channels = 150, 20
    parts = [far + torch.randn(1 + far % 4, channels, device=launch.device) for far in range(rows)]
    found = torch.stack(
        [
            torch.stack(
                [torch.full((channels,), len(p), device=p.device), p.mean(0), p.var(0, correction=0) * len(p)]
            )
            for p in parts
        ]
    )
    found = torch.cat([found, torch.zeros_like(found[:3])])  # of no values
    norm = nn.BatchNorm2d(channels).to(launch.device)
    numbers = launch.statistics.Norm(*launch.statistics.at_statistics(norm, found, counts=False))
    together = torch.cat(parts).double()
    assert_near(numbers.mean, together.mean(0), 1e-6)
    assert_near(numbers.variance, together.var(0, correction=0), 1e-5)
    assert not norm.running_mean.any()
    assert norm.num_batches_tracked == 0


def test_running_statistics_are_taken_as_they_are(launch, full_of_nan):
    norm = nn.BatchNorm2d(20).to(launch.device)
    norm.running_mean.copy_(torch.linspace(-1, 1, 20))
    norm.running_var.copy_(torch.linspace(1, 2, 20))
    numbers = launch.statistics.Norm(*launch.statistics.at_statistics(norm, None))
    assert numbers.mean.equal(norm.running_mean)
    assert numbers.variance.equal(norm.running_var)
