"""A network in pieces against the same one whole, the plain twin of everything made fast for CPUs."""

import copy

import pytest
import torch
from conftest import SMALL, randomise
from torch import nn

from maxvit_mm.measure.cost import LiveBytes
from maxvit_mm.network import Trunk, deploy, find_convention, find_variant, pieces
from maxvit_mm.network.fused import convolution, is_itself, linear, product
from maxvit_mm.network.same_conv import SameConv2d

SIZES = [(64, 64), (97, 161), (200, 333)]


def trunk(**arguments):
    return randomise(Trunk(find_variant(SMALL), **arguments)).eval()


@pytest.mark.parametrize("piece", [1, 2**14, 2**22])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_deployed", [False, True])
def test_without_gradients_pieces_of_any_size_give_the_same_maps(monkeypatch, piece, size, is_deployed):
    monkeypatch.setattr(pieces, "PIECE", piece)
    for arguments in (dict(), dict(partition_size="scaled"), dict(convention=find_convention("torchvision"))):
        network, images = trunk(**arguments), torch.randn(3, 3, *size)
        with torch.no_grad():
            with pieces.whole():
                expected = network(images)
            found = (deploy(network) if is_deployed else network)(images)
        for one, other in zip(found, expected, strict=True):
            assert (one - other).abs().max() < 5e-6 * other.abs().max()


def test_in_bf16_pieces_are_as_close_to_fp32_as_the_whole():
    network, images = trunk(), torch.randn(1, 3, 97, 161)
    with torch.no_grad():
        exact = network(images)
        half = network.bfloat16()
        found = half(images.bfloat16())
        with pieces.whole():
            expected = half(images.bfloat16())
    for one, other, fp32 in zip(found, expected, exact, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one - fp32).abs().mean() < 1.2 * (other - fp32).abs().mean()


def test_the_images_and_the_maps_that_were_returned_are_not_overwritten():
    network, images = trunk(), torch.randn(1, 3, 96, 96).contiguous(memory_format=torch.channels_last)
    before = images.clone()
    with torch.no_grad():
        maps = network(images)
        kept = [each.clone() for each in maps]
        network(images + 1)
    assert images.equal(before)
    assert all(map(torch.equal, maps, kept))


def test_inference_holds_a_fraction_of_the_memory(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 2**16)
    network, images = trunk(), torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        with LiveBytes() as live:
            network(images)
        with pieces.whole(), LiveBytes() as live_whole:
            network(images)
    assert live.peak < 0.6 * live_whole.peak


@pytest.mark.parametrize("why", ["gradients", "autocast", "double", "whole"])
def test_what_is_not_taken_in_pieces(why):
    x = torch.randn(2, 3, dtype=torch.float64 if why == "double" else torch.float32)
    with torch.set_grad_enabled(why == "gradients"):
        if why == "autocast":
            with torch.autocast("cpu", torch.bfloat16):
                assert not pieces.in_pieces(x)
        elif why == "whole":
            with pieces.whole():
                assert not pieces.in_pieces(x)
        else:
            assert not pieces.in_pieces(x)
    with torch.no_grad():
        assert pieces.in_pieces(x.float())


@pytest.mark.parametrize("gelu", ["tanh", "none"])
def test_fused_layers_are_their_plain_twins(gelu):
    layer, x, residual = nn.Linear(32, 64), torch.randn(2, 5, 7, 32), torch.randn(2, 5, 7, 64)
    conv, image = SameConv2d(32, 64, stride=2), torch.randn(2, 32, 9, 12)
    image, narrow = image.contiguous(memory_format=torch.channels_last), nn.Conv2d(32, 32, 1)

    def all_of_them():
        return [
            *(linear(x, layer, gelu), linear(x, layer, residual=residual), convolution(image, conv, gelu)),
            *(convolution(image, conv, gelu, padding=(1, 1)), product(x[0, 0], layer.weight)),
            convolution(image, narrow, residual=image),
        ]

    with torch.no_grad():
        found = all_of_them()
        with pieces.whole():
            expected = all_of_them()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


class Adapted(nn.Linear):
    """As adapters do it: the weight says not all."""

    def forward(self, x):
        return super().forward(x) + 1


def test_an_adapted_or_hooked_layer_is_called_as_it_is():
    layer = nn.Linear(4, 4)
    assert is_itself(layer)
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    assert not is_itself(layer)
    assert not is_itself(Adapted(4, 4))

    network, images = trunk(), torch.randn(1, 3, 64, 64)
    block = network.stages[0][0]
    with torch.no_grad():
        block.block_attention.ffn[1] = nn.ReLU()
        block.block_attention.ffn[2] = Adapted(128, 32)
        block.mbconv.depthwise.register_forward_hook(lambda module, inputs, output: output * 0)
        with pieces.whole():
            expected = network(images)[0]
        torch.testing.assert_close(network(images)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_network_in_training_mode_without_gradients_counts_each_batch_once_and_whole(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 2**14)
    network, images = trunk(drop_path_rate=0.5).train(), torch.randn(4, 3, 96, 96)
    other = copy.deepcopy(network)
    with torch.no_grad():
        torch.manual_seed(0)
        found = network(images)
        torch.manual_seed(0)
        with pieces.whole():
            expected = other(images)
    for one, wanted in zip(found, expected, strict=True):
        assert (one - wanted).abs().max() < 5e-6 * wanted.abs().max()
    for name, buffer in other.named_buffers():
        torch.testing.assert_close(dict(network.named_buffers())[name], buffer)


def test_a_deployed_network_gives_gradients_of_the_images():
    network, images = deploy(trunk()), torch.randn(1, 3, 64, 64, requires_grad=True)
    maps = network(images)
    maps[-1].sum().backward()
    assert images.grad.abs().sum() > 0
    with torch.no_grad():
        torch.testing.assert_close(maps[-1].detach(), network(images)[-1], rtol=1e-4, atol=1e-5)
