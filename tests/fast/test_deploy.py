import copy
import weakref

import pytest
import torch
from conftest import SMALL, randomise
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from maxvit_mm import MaxViT
from maxvit_mm.fast.cpu import kept, onednn


def deployed(**arguments):
    """A network with nothing trivial in it, and the same one deployed."""
    plain = randomise(MaxViT(SMALL, **arguments)).eval()
    fast = MaxViT(SMALL, **arguments)
    fast.load_state_dict(plain.state_dict())
    fast.switch_to_deploy()
    return plain, fast


@pytest.mark.parametrize(
    "arguments",
    [dict(), dict(partition_size="scaled"), dict(out_indices=(1, 2)), dict(convention="torchvision")],
    ids=str,
)
def test_a_deployed_backbone_gives_the_same_maps_of_any_size(arguments):
    plain, fast = deployed(**arguments)
    for shape in [(64, 64), (97, 161), (64, 96), (64, 64)]:
        images = torch.randn(2, 3, *shape)
        with torch.no_grad():
            for expected, found in zip(plain(images), fast(images), strict=True):
                assert (found - expected).abs().max() <= 2e-5 * expected.abs().max()


def test_it_has_no_norm_over_the_batch_left_and_looks_its_biases_up_once(monkeypatch):
    _, fast = deployed()
    assert not any(isinstance(module, _BatchNorm) for module in fast.modules())
    images = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        first = fast(images)
        monkeypatch.setattr("maxvit_mm.fast.cpu.kept.relative_bias", None)  # to call it again would fail
        again = fast(images)
    assert all(map(torch.equal, first, again))


def blocks_of(network):
    """What is kept packed of a network's weights, by name."""
    named = dict(network.named_parameters()).items()
    known = {name: kept._kept[weight].made for name, weight in named if weight in kept._kept}
    return {name: made["packed"] for name, made in known.items() if "packed" in made}


@pytest.mark.skipif(not onednn.ONEDNN, reason="a PyTorch without oneDNN")
def test_its_matrices_are_packed_once_and_for_as_long_as_it_lives():
    _, fast = deployed()
    images = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        fast(images)
        first = blocks_of(fast)
        fast(images)
    kinds = "qkv", "out", "ffn.0", "ffn.2", "expand", "shrink"
    of_trunk = [name for name, _ in fast.named_modules() if name.endswith(kinds) and ".se." not in name]
    assert sorted(first) == sorted(f"{name}.weight" for name in of_trunk)
    assert all(blocks is first[name] for name, blocks in blocks_of(fast).items())
    left = [weakref.ref(blocks) for blocks in first.values()]
    del fast, first
    assert not any(blocks() is not None for blocks in left)


@pytest.mark.parametrize(
    "change",
    [
        lambda weight: weight.mul_(1.5),
        lambda weight: setattr(weight, "data", weight * 1.5),
        lambda weight: setattr(weight, "data", weight.t()),
    ],
    ids=["written to", "replaced", "another layout"],
)
def test_a_matrix_that_is_changed_is_packed_anew(change):
    _, fast = deployed()
    images = torch.randn(1, 3, 64, 64)
    layer = fast.trunk.stages[0][0].block_attention.attention.out
    with torch.no_grad():
        before = fast(images)[0]
        change(layer.weight)
        found = fast(images)[0]
        kept._kept.clear()
        assert torch.equal(found, fast(images)[0])
    assert not torch.equal(found, before)


def test_a_matrix_that_nobody_counts_the_changes_of_is_not_kept():
    with torch.inference_mode():
        _, fast = deployed()
        images = torch.randn(1, 3, 64, 64)
        before = fast(images)[0]
        fast.trunk.stages[0][0].block_attention.attention.out.weight.mul_(1.5)
        assert not torch.equal(fast(images)[0], before)


def test_it_is_in_evaluation_mode_through_and_through():
    _, fast = deployed()
    assert not any(module.training for module in fast.modules())


def test_it_may_be_cast_copied_and_run_in_inference_mode():
    plain, fast = deployed()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = fast(images)
        copied = copy.deepcopy(fast)
        for one, other in zip(copied(images), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        half = fast.bfloat16()(images.bfloat16())
        for one, other in zip(half, expected, strict=True):
            assert (one - other).abs().mean() < 0.05 * other.abs().mean()
        again = MaxViT(SMALL)
        again.load_state_dict(plain.state_dict())
        again.switch_to_deploy()
        for one, other in zip(again(images), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_biases_of_a_partition_that_scales_are_kept_for_one_size_only():
    _, fast = deployed(partition_size="scaled")
    with torch.no_grad():
        for side in (64, 96, 128):
            fast(torch.randn(1, 3, side, side))
    table = fast.trunk.stages[0][0].block_attention.attention.relative_position_bias_table
    assert {key[:2] for key in kept._kept[table].made} == {(4, 4)}


def test_it_never_becomes_a_checkpoint_nor_trains():
    plain, fast = deployed()
    with pytest.raises(RuntimeError, match="no weights to save"):
        fast.state_dict()
    with pytest.raises(RuntimeError, match="takes no weights"):
        fast.load_state_dict(plain.state_dict())
    with pytest.raises(RuntimeError, match="takes no weights"):
        fast.trunk.load_state_dict(plain.trunk.state_dict(), strict=False)
    detector = nn.ModuleDict({"backbone": fast, "head": nn.Linear(2, 2)})
    detector.load_state_dict({"head.bias": torch.ones(2)}, strict=False)
    assert detector["head"].bias.eq(1).all()
    with pytest.raises(RuntimeError, match="cannot be trained"):
        fast.train()
    fast.eval()
    fast.switch_to_deploy()  # a second time changes nothing
