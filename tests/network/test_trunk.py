import pytest
import reference
import torch
from conftest import SMALL, randomise
from torch.utils.flop_counter import FlopCounterMode

from maxvit_mm.network import Trunk, deploy, find_variant
from maxvit_mm.network.attention import attention
from maxvit_mm.network.relative_bias import relative_bias
from maxvit_mm.network.stochastic_depth import StochasticDepth
from maxvit_mm.network.touched import touched
from maxvit_mm.network.twins import Layer

SIZES = [(32, 32), (97, 161), (112, 137), (200, 333), (224, 224)]


@pytest.mark.parametrize("partition_size", [7, 5, "scaled"])
@pytest.mark.parametrize("size", SIZES)
def test_the_maps_are_those_of_the_reference(size, partition_size):
    trunk = randomise(Trunk(find_variant(SMALL), partition_size)).eval()
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        maps = trunk(images)
        expected = reference.maps(trunk.state_dict(), SMALL["depths"], images, partition_size)
    for found, wanted, stride in zip(maps, expected, (4, 8, 16, 32), strict=True):
        assert found.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))
        assert (found - wanted).abs().max() < 5e-6 * wanted.abs().max()


@pytest.mark.parametrize("size", [(31, 47), (200, 31)])
def test_an_image_below_the_stride_is_refused(size):
    with pytest.raises(ValueError, match=f"at least 32x32 pixels .* got {size[0]}x{size[1]}: resize or pad"):
        Trunk(find_variant(SMALL))(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 3, 64, 64)])
def test_what_is_no_batch_of_images_is_refused(shape):
    with pytest.raises(ValueError, match="images are a batch"):
        Trunk(find_variant(SMALL))(torch.zeros(shape))


def test_the_scaled_partition_of_an_oblong_image_is_oblong():
    assert Trunk(find_variant(SMALL), "scaled").partition_for(640, 900) == (20, 29)


def test_by_default_the_partition_is_7_and_nothing_is_dropped_or_computed_twice():
    trunk = Trunk(find_variant(SMALL))
    assert trunk.partition_for(640, 900) == (7, 7)
    assert {module.rate for module in trunk.modules() if isinstance(module, StochasticDepth)} == {0}
    assert not any(trunk.checkpointing)


@pytest.mark.parametrize("size", [(64, 64), (97, 75)])
def test_every_parameter_gets_a_gradient(size):
    trunk = Trunk(find_variant(SMALL)).train()
    sum(m.square().mean() for m in trunk(torch.randn(2, 3, *size))).backward()
    without = [name for name, p in trunk.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_a_size_that_does_not_divide_costs_what_its_pixels_cost():
    def multiply_adds(*size):
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            Trunk(find_variant("tiny"))(torch.empty(1, 3, *size))
        return counter.get_total_flops() / (2 * size[0] * size[1])

    assert multiply_adds(800, 1333) < 1.01 * multiply_adds(896, 1344)


def test_stochastic_depth_rises_linearly_to_its_rate_over_the_whole_network():
    def rates(stages):
        trunk = Trunk(find_variant(SMALL), drop_path_rate=0.4, stages=stages)
        blocks = [block for stage in trunk.stages for block in stage]
        for block in blocks:  # the five residuals of a block share its rate
            shared = {block.mbconv.drop_path.rate, block.block_attention.drop_path.rate}
            assert shared == {block.grid_attention.drop_path.rate}
        return [block.mbconv.drop_path.rate for block in blocks]

    # block i of N, i from 0 to N - 1, drops with rate * i / N
    assert rates(4) == pytest.approx([0.4 * i / 5 for i in range(5)])
    assert rates(2) == pytest.approx([0.4 * i / 5 for i in range(2)])


def test_only_the_stages_named_are_computed_twice_and_only_before_a_backward_pass():
    trunk = Trunk(find_variant(SMALL), checkpointing=(False, True, False, True)).train()
    calls = [0] * 4
    for i, stage in enumerate(trunk.stages):
        stage[0].register_forward_pre_hook(lambda *_, i=i: calls.__setitem__(i, calls[i] + 1))
    sum(m.square().mean() for m in trunk(torch.randn(2, 3, 64, 64))).backward()
    assert calls == [1, 2, 1, 2]
    with torch.no_grad():
        trunk(torch.randn(2, 3, 64, 64))
    assert calls == [2, 3, 2, 3]


def test_deployed_its_weights_are_final_in_every_layer():
    trunk = deploy(Trunk(find_variant(SMALL)).eval())
    assert not any(parameter.requires_grad for parameter in trunk.parameters())
    assert all(module.deployed for module in trunk.modules() if isinstance(module, Layer))


def test_weights_of_another_kind_are_seen_and_a_bias_that_is_not_there_is_none():
    layer = torch.nn.Linear(2, 2, bias=False)
    assert touched(layer) is None
    layer.weight = type("Quantised", (torch.nn.Parameter,), {})(torch.ones(2, 2))
    assert touched(layer) == "has weights of another kind"


def test_attention_and_bias_are_fp32_in_mixed_precision_and_maps_are_finite():
    trunk = randomise(Trunk(find_variant(SMALL))).eval()
    images = torch.randn(1, 3, 97, 161)
    with torch.no_grad():
        exact = trunk(images)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = trunk(images)
        half = trunk.bfloat16()(images.bfloat16())
    for a, b, c in zip(exact, mixed, half, strict=True):
        assert b.isfinite().all()
        assert c.isfinite().all()
        assert (a - b).abs().mean() < 0.05 * a.abs().mean()
        assert (a - c).abs().mean() < 0.05 * a.abs().mean()


def test_softmax_and_bias_are_fp32_whatever_the_precision_of_q_k_and_v():
    # Logits around 300 and biases of half a step: bf16 has steps of 2 there, and would lose the bias.
    q, k = torch.full((5, 32), 3.0), torch.full((5, 32), 18.0)
    qkv = torch.cat([q, k, torch.eye(5, 32)], 1).bfloat16()[None]
    table = torch.linspace(0, 0.5, 9).view(1, 1, 9)  # for groups of 1 x 5
    with torch.autocast("cpu", torch.bfloat16):
        out = attention(table, qkv, 1, 5)
    assert out.dtype == torch.bfloat16
    expected = relative_bias(table, 1, 5)[0].softmax(-1)
    torch.testing.assert_close(out[0, :, :5].float(), expected, rtol=4e-3, atol=0)


def test_in_a_new_network_every_branch_has_a_say_and_none_explodes():
    trunk, shares = Trunk(find_variant("pico")).train(), []

    def note(module, inputs, output):
        x = inputs[0].detach()
        shares.append(float((output.detach() - x).std() / x.std()))

    for block in (block for stage in trunk.stages for block in stage):
        for half in (block.block_attention, block.grid_attention):
            half.register_forward_hook(note)
    maps = trunk(torch.randn(4, 3, 96, 96))
    assert len(shares) == 10
    assert all(0.1 < share < 2 for share in shares)
    assert all(0.1 < m.std() < 10 for m in maps)
