"""Adam on a GPU: few kernels for all parameters, and the same step.

PyTorch has the kernels for CPUs as well.
"""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from conftest import SMALL
from mmengine.config import Config
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from torch import nn
from torch.amp import GradScaler
from torch.utils._python_dispatch import TorchDispatchMode

from maxvit_mm import MaxViT
from maxvit_mm.openmmlab import fused
from maxvit_mm.openmmlab.fused import FusedAdamHook, fuse, joined
from maxvit_mm.openmmlab.shipped_configs import find_config

CONFIG = Config.fromfile(find_config("mask_rcnn_maxvit_t_coco")).optim_wrapper


@pytest.fixture
def gpu(monkeypatch):
    """Tensors pass for a GPU's."""
    monkeypatch.setattr(fused, "on_gpu", lambda value: isinstance(value, torch.Tensor))


@pytest.fixture(scope="module")
def network():
    return MaxViT(SMALL, out_indices=(0, 1))


def wrapped(network, **optimizer):
    network = deepcopy(network)
    cfg = deepcopy(CONFIG.to_dict())
    cfg["optimizer"].update(lr=1e-2, **optimizer)
    return network, build_optim_wrapper(network, cfg)


def step(network, wrapper, seed, scaler=None):
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    if scaler is None:
        wrapper.step()
    else:  # as MMEngine's AmpOptimWrapper, which asks for a GPU
        scaler.scale(torch.ones(()))
        for parameter in network.parameters():
            parameter.grad *= scaler.get_scale()
        scaler.unscale_(wrapper.optimizer)
        wrapper._clip_grad()
        scaler.step(wrapper.optimizer)
        scaler.update()


def hook(wrapper):
    FusedAdamHook().before_train(SimpleNamespace(optim_wrapper=wrapper))


class Kernels(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "adamw" in func.overloadpacket.__name__:
            self.seen.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def assert_alike(ours, theirs):
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("in_mixed_precision", [False, True])
def test_it_steps_as_the_usual_one_by_a_kernel_for_each_kind_of_group(gpu, network, in_mixed_precision):
    ours, theirs = wrapped(network), wrapped(network)
    hook(ours[1])
    scalers = [GradScaler("cpu", init_scale=8.0) if in_mixed_precision else None for _ in range(2)]
    for seed in range(3):
        with Kernels() as kernels:
            step(*ours, seed, scalers[0])
        step(*theirs, seed, scalers[1])
        assert kernels.seen == ["_fused_adamw_"] * 2  # with weight decay and without
    assert_alike(ours[0], theirs[0])
    assert len(ours[1].optimizer.param_groups) == len(list(network.parameters()))  # as in checkpoints


def test_a_step_of_infinite_gradients_is_left_out_on_the_gpu(gpu, network):
    ours, wrapper = wrapped(network)
    hook(wrapper)
    scaler = GradScaler("cpu", init_scale=8.0)
    step(ours, wrapper, 0, scaler)
    before = deepcopy(ours.state_dict())
    for parameter in ours.parameters():
        parameter.grad = torch.full_like(parameter, torch.inf)
    scaler.unscale_(wrapper.optimizer)
    scaler.step(wrapper.optimizer)
    scaler.update()
    assert all(value.equal(before[name]) for name, value in ours.state_dict().items())
    assert scaler.get_scale() == 4.0


def test_the_schedules_rates_are_those_of_each_group(gpu, network):
    ours, theirs = wrapped(network), wrapped(network)
    hook(ours[1])
    for each in (ours, theirs):
        for number, group in enumerate(each[1].optimizer.param_groups):
            group["lr"] = 1e-2 if number % 2 else 1e-3
        step(*each, 0)
    assert_alike(ours[0], theirs[0])


@pytest.mark.parametrize("on", ["a GPU", "a CPU"])
def test_a_training_is_resumed_from_the_other_kind_of_step(gpu, network, monkeypatch, on):
    first, plain = wrapped(network), wrapped(network)
    if on == "a CPU":
        hook(first[1])
    step(*first, 0)
    step(*plain, 0)
    resumed = deepcopy(network)
    resumed.load_state_dict(first[0].state_dict())
    resumed, wrapper = wrapped(resumed)
    wrapper.load_state_dict(deepcopy(first[1].state_dict()))
    monkeypatch.setattr(fused, "on_gpu", lambda value: on == "a GPU")
    hook(wrapper)
    with Kernels() as kernels:
        step(resumed, wrapper, 1)
    assert bool(kernels.seen) == (on == "a GPU")
    step(*plain, 1)
    assert_alike(resumed, plain[0])


def test_on_a_cpu_the_step_is_the_usual_one(network):
    ours, wrapper = wrapped(network)
    hook(wrapper)
    with Kernels() as kernels:
        step(ours, wrapper, 0)
    assert kernels.seen == []


@pytest.mark.parametrize("settings", [dict(foreach=True), dict(foreach=False), dict(fused=False)])
def test_what_a_config_sets_is_left_alone(gpu, network, settings):
    _, wrapper = wrapped(network, **settings)
    assert not fuse(wrapper.optimizer)


def test_other_optimizers_and_several_are_no_matter(gpu):
    one = nn.Linear(2, 2)
    assert not fuse(torch.optim.SGD(one.parameters(), lr=0.1))
    adams = {
        name: build_optim_wrapper(nn.Linear(2, 2), dict(optimizer=dict(type="AdamW", lr=0.1)))
        for name in "ab"
    }
    hook(OptimWrapperDict(**adams))
    assert all(wrapper.optimizer.param_groups[0]["fused"] for wrapper in adams.values())


def test_groups_are_joined_by_all_their_settings():
    groups = [dict(params=[1], lr=0.1, betas=(0, 1)), dict(params=[2], lr=0.2, betas=(0, 1))]
    groups += [dict(params=[3], lr=0.1, betas=(0, 1), decay_mult=0.0)]  # of which an optimizer knows nothing
    assert [group["params"] for group in joined(groups, ["lr", "betas"])] == [[1, 3], [2]]
    assert groups[0]["params"] == [1]
