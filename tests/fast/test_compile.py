import copy
import pickle

import pytest
import torch
from conftest import SMALL, randomise
from torch import nn
from torch._dynamo.testing import CompileCounter

from maxvit_mm import MaxViT
from maxvit_mm.fast.cpu import kept, onednn
from maxvit_mm.network.twins import plain

SIZES = [(64, 64), (96, 160), (128, 96), (97, 161), (200, 65), (64, 224)]


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("is_deployed", [False, True])
def test_one_graph_without_a_break_serves_images_of_all_sizes(is_deployed):
    network, counter = randomise(MaxViT(SMALL)).eval(), CompileCounter()
    if is_deployed:
        network.switch_to_deploy()
    compiled = torch.compile(network, backend=counter, fullgraph=True)
    with torch.no_grad():
        for size in SIZES:
            images = torch.randn(1, 3, *size)
            for found, expected in zip(compiled(images), network(images), strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert counter.frame_count <= 3  # the first size by itself, any size, and any once biases are kept


def packed():
    """The matrices that are kept, by the weight that they were made of."""
    return {weight: known.made["packed"] for weight, known in kept._kept.items() if "packed" in known.made}


@pytest.mark.skipif(not onednn.ONEDNN, reason="a PyTorch without oneDNN")
def test_a_compiled_network_shares_its_packed_weights_with_the_deployed_one():
    network, images = randomise(MaxViT(SMALL)).eval(), torch.randn(1, 3, 64, 64)
    network.switch_to_deploy()
    kept._kept.clear()
    compiled = torch.compile(network, backend="aot_eager")
    with torch.no_grad():
        found = compiled(images)
        by_compiled = packed()
        expected = network(images)
        compiled(images)
    assert set(map(id, by_compiled)) < set(map(id, network.parameters()))
    assert len(by_compiled) == sum(SMALL["depths"]) * (2 * 4 + 2)  # two attentions with FFNs, an MBConv
    assert packed().keys() == by_compiled.keys()
    assert all(packed()[weight] is blocks for weight, blocks in by_compiled.items())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_it_can_be_lowered_and_knows_the_layout_of_what_comes_out():
    network, images = randomise(MaxViT(SMALL, partition_size="scaled")).eval(), torch.randn(2, 3, 97, 161)
    with torch.no_grad():
        expected = network(images)
        found = torch.compile(network, backend="aot_eager", fullgraph=True, dynamic=True)(images)
    for one, other in zip(found, expected, strict=True):
        assert one.stride() == other.stride()
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_training_step_of_one_size_is_one_graph_with_the_same_gradients():
    network, images = randomise(MaxViT(SMALL, out_indices=(0,))).train(), torch.randn(2, 3, 65, 97)
    other = copy.deepcopy(network)

    def gradients(run, of):
        sum(m.square().mean() for m in run(images)).backward()
        return {name: p.grad for name, p in of.named_parameters()}

    expected = gradients(network, network)
    compiled = torch.compile(other, backend="aot_eager", fullgraph=True, dynamic=False)
    for name, gradient in gradients(compiled, other).items():
        if not name.endswith(("pre_norm.bias", "conv1.bias")):  # nothing but rounding
            assert (gradient - expected[name]).abs().max() < 1e-3 * expected[name].abs().max(), name


DEEP = {**SMALL, "depths": (1, 1, 4, 1)}  # in which several blocks are of one make


@pytest.mark.parametrize("is_deployed", [False, True])
def test_blocks_of_one_make_and_other_networks_keep_to_their_own_tensors(is_deployed):
    for seed in (0, 1):
        norm_cfg = dict(type="BN", eps=0.1 + seed)
        network, images = randomise(MaxViT(DEEP, norm_cfg=norm_cfg), seed).eval(), torch.randn(1, 3, 64, 64)
        network = pickle.loads(pickle.dumps(network))
        if is_deployed:
            network.switch_to_deploy()
        with torch.no_grad():
            compiled = torch.compile(network, backend="eager", fullgraph=True)
            for found, expected in zip(compiled(images), network(images), strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", ["hook", "adapter", "training"])
def test_a_block_that_is_more_than_its_tensors_is_left_to_the_compiler(change):
    network, images = randomise(MaxViT(SMALL)).eval(), torch.randn(2, 3, 64, 64)
    block = network.trunk.stages[0][0]
    if change == "hook":
        block.mbconv.shrink.register_forward_hook(lambda module, inputs, output: 2 * output)
    elif change == "adapter":
        block.block_attention.ffn[2] = Doubled(128, 32)
    else:
        block.mbconv.train()
    other, untouched = copy.deepcopy(network), randomise(MaxViT(SMALL)).eval()
    with torch.no_grad(), plain(other, untouched):
        expected, without = other(images)[0], untouched(images)[0]
        found = torch.compile(network, backend="eager")(images)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not found.allclose(without, rtol=1e-2)


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)
