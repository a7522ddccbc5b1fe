"""PyTorch itself says where the host would wait for the GPU; and a graph of it holds the network."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from conftest import SMALL, randomise
from mmengine.hooks import LoggerHook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

from maxvit_mm import MaxViT
from maxvit_mm.openmmlab.fused import fuse
from maxvit_mm.openmmlab.late import Late, LateInfoHook
from maxvit_mm.openmmlab.watching import LossWatchHook


@pytest.fixture
def gpu(device):
    if device.type != "cuda":
        pytest.skip("only a GPU is waited for")
    yield device
    torch.cuda.set_sync_debug_mode("default")


def test_values_are_read_late(gpu):
    values = Late({"loss": torch.tensor(1.5, device=gpu), "acc": torch.tensor([50], device=gpu)})
    assert values.read() == {"loss": 1.5, "acc": 50.0}


@pytest.mark.parametrize("half", [None, torch.bfloat16], ids=str)
def test_no_step_waits_with_its_hooks_clipping_and_optimizer(gpu, half, monkeypatch):
    monkeypatch.setattr(LateInfoHook, "end_of_epoch", lambda *_: False)
    network = randomise(MaxViT(SMALL, drop_path_rate=0.1)).to(gpu).train()
    wrapper = OptimWrapper(torch.optim.AdamW(network.parameters(), lr=1e-4), clip_grad=dict(max_norm=1.0))
    assert fuse(wrapper.optimizer)
    hub = MessageHub("waiting")
    runner = SimpleNamespace(
        **dict(iter=0, epoch=0, max_iters=9, max_epochs=1, hooks=[LoggerHook(interval=10_000)]),
        **dict(optim_wrapper=wrapper, message_hub=hub, logger=SimpleNamespace(info=print, warning=print)),
        train_dataloader=SimpleNamespace(dataset=None),
    )
    hooks = [LateInfoHook(), LossWatchHook()]
    for hook in hooks:
        hook.before_train(runner)
    images = torch.randn(2, 3, 96, 128, device=gpu)
    for runner.iter in range(6):
        if runner.iter == 3:  # the first steps compile kernels
            torch.cuda.set_sync_debug_mode("error")
        with torch.autocast("cuda", half or torch.bfloat16, enabled=half is not None):
            loss = sum(each.float().square().mean() for each in network(images))
        wrapper.update_params(loss)
        for hook in hooks:
            hook.after_train_iter(runner, runner.iter, None, {"loss": loss.detach()})
    torch.cuda.set_sync_debug_mode("default")
    for hook in hooks:
        hook.after_train(runner)
    assert len(hub.get_scalar("train/loss").data[0]) == len(hub.get_scalar("train/grad_norm").data[0]) == 6


def captured(run, times=3):
    """A graph of what `run` starts on the GPU, once its kernels are compiled, and what it returned."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(times):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run()
    return graph, out


@pytest.mark.parametrize("is_deployed", [False, True])
def test_a_graph_of_the_gpu_holds_the_forward_pass(gpu, is_deployed):
    network = randomise(MaxViT(SMALL)).to(gpu).eval()
    if is_deployed:
        network.switch_to_deploy()
    images, others = torch.randn(2, 2, 3, 96, 128, device=gpu)
    with torch.no_grad():
        graph, maps = captured(lambda: network(images))
        images.copy_(others)
        graph.replay()
        for found, expected in zip(maps, network(others), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def a_step(network, run, images, half):
    """The maps of a training step by `run`, whose gradients are new tensors."""
    network.zero_grad(set_to_none=True)
    # What autocast keeps of a weight that it has cast would be memory of the graph.
    with torch.autocast("cuda", half or torch.bfloat16, enabled=half is not None, cache_enabled=False):
        maps = run(images)
    sum(each.float().square().mean() for each in maps).backward()
    return [each.detach() for each in maps]


def left_by(network, run, start):
    """The maps, gradients and statistics after a step that begins with `start`, for a fixed seed."""
    network.load_state_dict(start)  # into the tensors that there are, which a graph has
    torch.cuda.manual_seed(3)  # of stochastic depth; a graph's draws follow the seed as well
    maps = run()
    rounding = "pre_norm.bias", "conv1.bias"  # of which the gradients are nothing but that
    parameters = network.named_parameters()
    gradients = [parameter.grad for name, parameter in parameters if not name.endswith(rounding)]
    return [each.clone() for each in (*maps, *gradients, *network.buffers())]


@pytest.mark.parametrize("half", [None, torch.bfloat16], ids=str)
@pytest.mark.parametrize("whole", [True, False], ids=["the whole step", "the network, both ways"])
def test_a_graph_of_the_gpu_holds_a_training_step(gpu, whole, half):
    network = randomise(MaxViT(SMALL, drop_path_rate=0.5)).to(gpu).train()
    start = deepcopy(network.state_dict())
    images, others = torch.randn(2, 2, 3, 96, 128, device=gpu)
    expected = left_by(network, lambda: a_step(network, network, others, half), start)
    if whole:
        graph, maps = captured(lambda: a_step(network, network, images, half))
        images.copy_(others)

        def again():
            graph.replay()
            return maps
    else:
        with torch.autocast("cuda", half or torch.bfloat16, enabled=half is not None, cache_enabled=False):
            graphed = torch.cuda.make_graphed_callables(network, (images,))

        def again():
            return a_step(network, graphed, others, half)

    rounding = 1e-4 if half is None else 2e-2
    for _ in range(2):
        for found, one in zip(left_by(network, again, start), expected, strict=True):
            found, one = found.double(), one.double()
            assert (found - one).abs().max() <= rounding * one.abs().max()
