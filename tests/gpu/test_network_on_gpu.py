"""The backbone on a GPU gives what it gives on a CPU, in every precision and mode."""

from copy import deepcopy

import pytest
import torch
from conftest import SMALL, randomise

from maxvit_mm import MaxViT

pytestmark = pytest.mark.usefixtures("in_full_fp32")
SIZES = [(2, 64, 64), (1, 96, 128), (2, 75, 101), (1, 200, 333)]  # some divide by the stride, some do not
HALVES = [torch.float16, torch.bfloat16]


@pytest.fixture(scope="module")
def network():
    return randomise(MaxViT(arch=SMALL, drop_path_rate=0.0))


def images(size, seed=0):
    batch, height, width = size
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def distance(found, wanted):
    """The largest difference over the largest value, of the worst map."""
    pairs = zip(found, wanted, strict=True)
    return max(((a.cpu().double() - b.double()).abs().max() / b.abs().max()).item() for a, b in pairs)


def gradients(network, inputs, to=None, scale=1.0):
    """Of all parameters and of the images, for a loss that reads every value of every map."""
    network = deepcopy(network).to(inputs.device).train()
    inputs = inputs.clone().requires_grad_()
    with torch.autocast(inputs.device.type, to or torch.float16, enabled=to is not None):
        maps = network(inputs)
    weights = [torch.linspace(-1, 1, each.numel(), device=each.device).view(each.shape) for each in maps]
    loss = sum((each.float() * weight).mean() for each, weight in zip(maps, weights, strict=True))
    (loss * scale).backward()
    grads = {name: parameter.grad / scale for name, parameter in network.named_parameters()}
    return [inputs.grad / scale, *grads.values()]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("implementation", ["auto", "plain"])
def test_forward_equals_the_cpus(network, device, size, implementation):
    ours = MaxViT(arch=SMALL, drop_path_rate=0.0, implementation=implementation).eval()
    ours.load_state_dict(network.state_dict())
    with torch.no_grad():
        wanted = ours(images(size))
        assert distance(ours.to(device)(images(size).to(device)), wanted) < 1e-4


@pytest.mark.parametrize("size", SIZES)
def test_a_deployed_network_equals_the_cpus(network, device, size):
    ours = deepcopy(network).eval()
    with torch.no_grad():
        wanted = ours(images(size))
        deployed = deepcopy(network).eval().to(device)
        deployed.switch_to_deploy()
        assert distance(deployed(images(size).to(device)), wanted) < 1e-4


@pytest.mark.parametrize("size", SIZES[:3])
@pytest.mark.parametrize("with_cp", [False, True])
def test_gradients_equal_the_cpus(network, device, size, with_cp):
    ours = MaxViT(arch=SMALL, drop_path_rate=0.0, with_cp=with_cp)
    ours.load_state_dict(network.state_dict())
    wanted = gradients(ours, images(size))
    assert distance(gradients(ours, images(size).to(device)), wanted) < 2e-3


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("size", SIZES[:3])
def test_autocast_is_finite_and_near_fp32(network, device, half, size):
    ours = deepcopy(network).eval()
    with torch.no_grad():
        wanted = ours(images(size))
        with torch.autocast(device.type, half):
            found = ours.to(device)(images(size).to(device))
    assert all(each.isfinite().all() for each in found)
    assert distance(found, wanted) < (0.02 if half == torch.float16 else 0.1)


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_training_in_mixed_precision_has_finite_gradients_near_fp32s(network, device, half):
    wanted = gradients(network, images((2, 75, 101)))
    found = gradients(network, images((2, 75, 101)).to(device), to=half, scale=256.0)
    assert all(each.isfinite().all() for each in found)
    flat = [
        torch.cat([each.detach().cpu().double().flatten() for each in grads]) for grads in (found, wanted)
    ]
    assert torch.nn.functional.cosine_similarity(*flat, dim=0) > 0.98


def test_the_library_of_cudnn_is_on_after_a_step(network, device):
    before = torch.backends.cudnn.enabled
    gradients(network, images((1, 64, 64)).to(device))
    assert torch.backends.cudnn.enabled == before


def test_two_runs_of_a_forward_pass_are_equal_to_the_last_bit(network, device):
    ours, inputs = deepcopy(network).eval().to(device), images((2, 96, 128)).to(device)
    with torch.no_grad():
        assert all(a.equal(b) for a, b in zip(ours(inputs), ours(inputs), strict=True))
