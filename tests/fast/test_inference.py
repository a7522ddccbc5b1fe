"""Inference by the twins for CPUs, against the network as it is written."""

import copy

import pytest
import torch
from conftest import SMALL, randomise
from torch import nn

from maxvit_mm.fast.cpu import attention, onednn, pieces
from maxvit_mm.measure.live_bytes import LiveBytes
from maxvit_mm.network import Trunk, deploy, find_convention, find_variant
from maxvit_mm.network.twins import listening
from maxvit_mm.network.twins import plain as as_written

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
            with as_written(network):
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
        with as_written(network):
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
        with as_written(network), LiveBytes() as live_whole:
            network(images)
    assert live.peak < 0.6 * live_whole.peak


@pytest.mark.parametrize("gelu", ["tanh", "none"])
def test_fused_operators_are_what_they_are_made_of(gelu):
    x, residual = torch.randn(2, 5, 7, 32), torch.randn(2, 5, 7, 64)
    image = torch.randn(2, 32, 9, 12).contiguous(memory_format=torch.channels_last)
    layer, conv, narrow = nn.Linear(32, 64), nn.Conv2d(32, 64, 3, 2, 1), nn.Conv2d(32, 32, 1)
    kept = narrow.weight, narrow.bias
    with torch.no_grad():
        found = [
            onednn.linear(x, layer.weight, layer.bias, gelu),
            onednn.linear(x, layer.weight, layer.bias, residual=residual),
            onednn.convolution(image, conv.weight, conv.bias, 2, (1, 1), 1, gelu),
            *(onednn.pointwise(image, *kept, residual=image, keep=keep) for keep in (False, True)),
            onednn.product(x[0, 0], layer.weight),
        ]
        expected = [
            nn.functional.gelu(layer(x), approximate=gelu),
            layer(x) + residual,
            nn.functional.gelu(conv(image), approximate=gelu),
            *[narrow(image) + image] * 2,
            x[0, 0] @ layer.weight.t(),
        ]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("n", "bound"),
    [(16, 2**-5), (49, 2**-5), (64, 2**-5), (65, 2**-7), (100, 2**-7)],  # logits rounded to bf16, and not
)
def test_in_bf16_attention_is_near_that_in_fp32_for_few_tokens_and_for_many(n, bound):
    qkv, bias = torch.randn(6, n, 192).mul(1.4).bfloat16(), torch.randn(2, n, n)
    exact = attention.attend_to_groups(qkv.float(), bias)
    for is_exact in (False, True):
        found = attention.attend_to_groups(qkv, bias, is_exact)
        assert found.dtype == torch.bfloat16
        assert (found - exact).abs().max() < (2**-7 if is_exact else bound) * exact.abs().max()


@pytest.fixture
def bf16_anywhere(monkeypatch):
    """oneDNN's operators in PyTorch's own, for processors on which it does not compute in bf16."""

    def followed(x, gelu=None, residual=None):
        x = x if gelu is None else nn.functional.gelu(x, approximate=gelu)
        return x if residual is None else x + residual

    def linear(x, weight, bias=None, gelu=None, residual=None, keep=False):
        return followed(nn.functional.linear(x, weight.flatten(1), bias), gelu, residual)

    def pointwise(x, weight, bias, gelu=None, residual=None, keep=False):
        return followed(nn.functional.conv2d(x, weight, bias), gelu, residual)

    def convolution(x, weight, bias, stride, padding, groups, gelu):
        return followed(nn.functional.conv2d(x, weight, bias, stride, padding, groups=groups), gelu)

    if not onednn.BF16:
        for function in (linear, pointwise, convolution):
            monkeypatch.setattr(onednn, function.__name__, function)
        monkeypatch.setattr(onednn, "BF16", True)


@pytest.mark.parametrize("is_deployed", [False, True])
@pytest.mark.parametrize("how", ["autocast", "cast"])
def test_in_bf16_the_twins_run_and_are_as_close_to_fp32_as_what_is_written(bf16_anywhere, how, is_deployed):
    network, images, chosen = trunk(), torch.randn(1, 3, 97, 161), []
    with torch.no_grad():
        exact = network(images)
        if is_deployed:
            deploy(network)
        if how == "cast":
            network, images = network.bfloat16(), images.bfloat16()
        with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            with listening(chosen.append):
                found = network(images)
            with as_written(network):
                expected = network(images)
    assert {(choice.seam, choice.runs) for choice in chosen} == {
        ("Stem.forward", "cpu"),
        ("MaxViTBlock.forward", "cpu"),
    }
    for one, other, fp32 in zip(found, expected, exact, strict=True):
        assert one.dtype == other.dtype == torch.bfloat16
        assert (one - fp32).abs().mean() < 1.2 * (other - fp32).abs().mean()


def test_a_network_in_training_mode_without_gradients_counts_each_batch_once_and_whole(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 2**14)
    network, images = trunk(drop_path_rate=0.5).train(), torch.randn(4, 3, 96, 96)
    other = copy.deepcopy(network)
    with torch.no_grad():
        torch.manual_seed(0)
        found = network(images)
        torch.manual_seed(0)
        with as_written(other):
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
