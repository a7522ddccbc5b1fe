import pytest
import torch
from conftest import SMALL, randomise
from torch.nn.modules.batchnorm import _BatchNorm

from maxvit_mm import MaxViT


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
        monkeypatch.setattr("maxvit_mm.network.attention.relative_bias", None)  # to call it again would fail
        again = fast(images)
    assert all(map(torch.equal, first, again))


def test_biases_of_a_partition_that_scales_are_kept_for_one_size_only():
    _, fast = deployed(partition_size="scaled")
    with torch.no_grad():
        for side in (64, 96, 128):
            fast(torch.randn(1, 3, side, side))
    attention = fast.trunk.stages[0][0].block_attention.attention
    assert {size for size, *_ in attention.kept_biases} == {(4, 4)}


def test_it_never_becomes_a_checkpoint_nor_trains():
    _, fast = deployed()
    with pytest.raises(RuntimeError, match="no weights to save"):
        fast.state_dict()
    with pytest.raises(RuntimeError, match="cannot be trained"):
        fast.train()
    fast.eval()
    fast.switch_to_deploy()  # a second time changes nothing
