"""Training by the twins that keep less, against the network as it is written."""

import copy
import inspect
from contextlib import nullcontext

import pytest
import torch
from conftest import SMALL, randomise
from torch import nn

from maxvit_mm.fast.cpu import attention, norm, onednn, pieces
from maxvit_mm.measure.live_bytes import LiveBytes
from maxvit_mm.network import Trunk, find_convention, find_variant
from maxvit_mm.network.attention import FFN, PartitionAttention
from maxvit_mm.network.mbconv import MBConv
from maxvit_mm.network.partition import Block
from maxvit_mm.network.trunk import MaxViTBlock
from maxvit_mm.network.twins import plain as as_written

pytestmark = pytest.mark.usefixtures("no_map_is_too_small")


def step(trunk, images, plain=False):
    """Maps, gradients and statistics after one step of a copy of `trunk`."""
    trunk, images = copy.deepcopy(trunk), images.clone().requires_grad_()
    with as_written(trunk) if plain else nullcontext():
        maps = trunk(images)
        total = sum((m * torch.linspace(-1, 1, m.numel()).to(m).view_as(m)).sum() for m in maps)
    total.backward()
    gradients = {name: p.grad for name, p in trunk.named_parameters() if p.grad is not None}
    return dict(maps=maps, images=images.grad, **gradients, **dict(trunk.named_buffers()))


def assert_same(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, other in expected.items():
        for a, b in zip(*((x if isinstance(x, list) else [x]) for x in (found[name], other)), strict=True):
            assert (a - b).abs().max() <= tolerance * b.abs().max() + 1e-9, name


@pytest.mark.parametrize("piece", [1, 2**15, 2**22])
@pytest.mark.parametrize(
    "arguments",
    [dict(), dict(partition_size="scaled"), dict(convention=find_convention("torchvision"))],
    ids=str,
)
def test_gradients_and_statistics_are_the_plain_ones(monkeypatch, piece, arguments):
    """In fp64, where what is left of a difference is a mistake."""
    monkeypatch.setattr(pieces, "PIECE", piece)
    trunk = randomise(Trunk(find_variant(SMALL), **arguments)).double().train()
    for size in [(65, 97)] if piece == 1 else [(64, 64), (65, 97), (96, 130)]:
        images = torch.randn(3, 3, *size, dtype=torch.float64)
        assert_same(step(trunk, images), step(trunk, images, plain=True), 1e-9)


def test_gradients_in_fp32_are_as_close_to_those_in_fp64_as_the_plain_ones():
    """All together within a fifth: the error of one parameter is a single draw of rounding, large or small by
    chance, and of another order of sums with another number of threads; that of all is a mean of them.
    """
    trunk, images = randomise(Trunk(find_variant(SMALL))).train(), torch.randn(2, 3, 96, 130)
    exact = step(copy.deepcopy(trunk).double(), images.double(), plain=True)
    found, plain = step(trunk, images), step(trunk, images, plain=True)
    errors = {
        name: [float((g[name] - exact[name]).norm() / exact[name].norm()) for g in (found, plain)]
        for name in dict(trunk.named_parameters())
        # The shift of a norm that another norm follows has no gradient but rounding.
        if not name.endswith(("pre_norm.bias", "conv1.bias"))
    }
    ours, theirs = torch.tensor(list(errors.values())).square().mean(0).sqrt().tolist()
    assert ours < 1.2 * theirs
    for name, (error, of_plain) in errors.items():
        assert error < 4 * max(of_plain, theirs), name


def test_fixed_statistics_and_frozen_parameters():
    trunk, images = randomise(Trunk(find_variant(SMALL))).double().train(), torch.randn(2, 3, 65, 97).double()
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    block = trunk.stages[1][0].mbconv
    for frozen in (block.se, block.norm1, block.depthwise):
        frozen.requires_grad_(False)
    found = step(trunk, images)
    assert_same(found, step(trunk, images, plain=True), 1e-9)
    assert not any(name.startswith("stages.1.0.mbconv.se.") for name in found)


def test_mixed_precision_is_that_of_the_plain_layers():
    trunk, images = randomise(Trunk(find_variant(SMALL))).train(), torch.randn(2, 3, 96, 96)
    exact = step(trunk, images)
    with torch.autocast("cpu", torch.bfloat16):
        found, plain = step(trunk, images), step(trunk, images, plain=True)

    def error(g):
        names = [name for name in dict(trunk.named_parameters()) if name.endswith("weight")]
        return sum(float((g[n] - exact[n]).norm() / exact[n].norm()) for n in names) / len(names)

    assert [m.dtype for m in found["maps"]] == [m.dtype for m in plain["maps"]]
    assert error(found) < 1.2 * error(plain)


def gradients_of(layer, x, plain, gradient, autocast=True):
    layer = copy.deepcopy(layer)
    precision = torch.autocast("cpu", torch.bfloat16, enabled=autocast)
    with as_written(layer) if plain else nullcontext(), precision:
        out = layer(x)
    out.backward(gradient.to(out.dtype))
    return {name: parameter.grad.double() for name, parameter in layer.named_parameters()}


@pytest.mark.parametrize("piece", [2**14, 2**22])
@pytest.mark.parametrize("kind", ["mbconv", "ffn"])
def test_gradients_of_many_tokens_in_bf16_are_nearly_as_exact_as_the_plain_ones(monkeypatch, kind, piece):
    """Where the gradient has a mean, and where many pieces are added up."""
    monkeypatch.setattr(pieces, "PIECE", piece)
    torch.manual_seed(0)
    if kind == "mbconv":
        layer, x = randomise(MBConv(32, 32, 1, 0.0)).train(), torch.randn(2, 32, 64, 64)
    else:
        layer, x = FFN(32, "tanh"), torch.randn(2, 2048, 32)
    gradient = torch.randn_like(x) + 0.3
    exact = gradients_of(layer.double(), x.double(), True, gradient, autocast=False)
    layer.float()
    found, plain = (gradients_of(layer, x, each, gradient) for each in (False, True))
    for name, other in exact.items():
        if "pre_norm" not in name:  # whose shift has no gradient but rounding
            errors = [float((g[name] - other).norm() / other.norm()) for g in (found, plain)]
            assert errors[0] < max(2.5 * errors[1], 0.006), (name, errors)


def test_a_processor_without_bf16_takes_the_plain_product(monkeypatch):
    layer, x = FFN(32, "tanh"), torch.randn(2, 64, 32)
    expected = gradients_of(layer, x, False, torch.ones_like(x))
    monkeypatch.setattr(onednn, "BF16", False)
    monkeypatch.setattr(onednn, "activation", None)  # oneDNN's operators need it
    assert_same(gradients_of(layer, x, False, torch.ones_like(x)), expected, 2e-2)


def test_a_backward_pass_inside_autocast_keeps_the_precision_of_the_forward_pass():
    layer, x, found = FFN(32, "tanh"), torch.randn(2, 64, 32), []
    for autocast in (False, True):
        layer.zero_grad()
        total = layer(x).square().mean()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            total.backward()
        found.append({name: parameter.grad for name, parameter in layer.named_parameters()})
    assert_same(*found, 1e-5)


def test_no_images_and_a_network_in_fp64_under_autocast():
    block = MaxViTBlock(32, 32, 2, 7, 0.0).eval()
    assert block(torch.randn(0, 32, 14, 14), (7, 7)).shape == (0, 32, 7, 7)
    with torch.autocast("cpu", torch.bfloat16):
        assert block.double().mbconv(torch.randn(1, 32, 14, 14, dtype=torch.float64)).dtype == torch.float64


def test_a_step_keeps_two_thirds_of_the_bytes_or_less():
    trunk, images = Trunk(find_variant(SMALL)).train(), torch.randn(1, 3, 320, 320)
    with LiveBytes() as lean:
        step(trunk, images)
    with LiveBytes() as plain:
        step(trunk, images, plain=True)
    assert lean.peak < 0.67 * plain.peak


def test_a_graph_can_be_gone_through_twice():
    trunk, images = Trunk(find_variant(SMALL)).train(), torch.randn(1, 3, 64, 64)
    total = trunk(images)[-1].square().sum()
    weight = trunk.stem.conv1.weight
    (first,) = torch.autograd.grad(total, weight, retain_graph=True)
    (second,) = torch.autograd.grad(total, weight)
    assert first.equal(second)


@pytest.mark.parametrize("what", ["se", "ffn.1", "depthwise", "pre_norm"])
def test_hooks_fire_as_in_the_plain_layers(what):
    network, fired = Trunk(find_variant(SMALL)).train(), []
    block = network.stages[0][0]
    module = block.block_attention.ffn[1] if what == "ffn.1" else getattr(block.mbconv, what)
    module.register_full_backward_hook(lambda *_: fired.append("back"))
    module.register_forward_hook(lambda *_: fired.append("there"))
    network(torch.randn(2, 3, 64, 64))[0].sum().backward()
    assert set(fired) == {"there", "back"}


def test_gradients_go_to_the_parameters_that_a_functional_call_was_given():
    network, images = Trunk(find_variant(SMALL)).train(), torch.randn(2, 3, 64, 64)
    given = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    torch.func.functional_call(network, given, (images,))[-1].sum().backward()
    assert [name for name, p in given.items() if p.grad is None] == []
    assert all(p.grad is None for p in network.parameters())


def test_a_batch_of_one_value_a_channel_is_refused_as_by_pytorch():
    network = Trunk(find_variant(SMALL)).train()
    with pytest.raises(ValueError, match=r"more than one value a channel.*norm_eval=True"):
        network(torch.randn(1, 3, 32, 32))
    assert all(buffer.isfinite().all() for buffer in network.buffers())


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_attention_weights_are_computed_again_in_fp32(precision):
    """But for the products with them, whose operands are rounded as those of other products."""
    layer = randomise(PartitionAttention(64, Block, 3))
    qkv = (3 * torch.randn(1, 6, 6, 192)).to(precision)

    def gradients(attend, qkv):
        leaves = [qkv.clone().requires_grad_(), layer.relative_position_bias_table]
        return torch.autograd.grad(attend(layer, leaves[0], (3, 3)).float().square().sum(), leaves)

    for found, plain, exact in zip(
        gradients(attention.attend, qkv),
        gradients(PartitionAttention.attend.plain, qkv),
        gradients(PartitionAttention.attend.plain, qkv.float()),
        strict=True,
    ):
        assert (found - exact).norm() < 3 * (plain - exact).norm() + 2**-8 * exact.norm()


@pytest.fixture
def by_the_rule_of_torch_2_11(monkeypatch):
    """An epsilon of 0 is refused, as by some releases of PyTorch. Returns those that were given."""
    batch_norm, seen = torch.nn.functional.batch_norm, []

    signature = inspect.signature(batch_norm)

    def checked(*arguments, **named):
        eps = signature.bind(*arguments, **named).arguments.get("eps", 1e-5)
        if eps <= 0:
            raise ValueError(f"batch_norm eps must be positive, but got {eps}")
        seen.append(eps)
        return batch_norm(*arguments, **named)

    monkeypatch.setattr(torch.nn.functional, "batch_norm", checked)
    return seen


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("how", ["autocast", "cast"])
def test_no_layer_is_refused_in_lower_precision(by_the_rule_of_torch_2_11, precision, training, how):
    trunk = randomise(Trunk(find_variant(SMALL))).train(training)
    images, mixed = torch.randn(2, 3, 64, 96), torch.autocast("cpu", precision)
    if how == "cast":
        trunk, images, mixed = trunk.to(precision), images.to(precision), nullcontext()
        if training:
            keep_norms_in_fp32(trunk)
    with torch.set_grad_enabled(training), mixed:
        maps = trunk(images)
    assert all(each.isfinite().all() for each in maps)
    assert by_the_rule_of_torch_2_11 or not training  # at inference norms are folded
    if training:
        sum(each.float().mean() for each in maps).backward()
        assert all(p.grad.isfinite().all() for p in trunk.parameters())


def keep_norms_in_fp32(network):
    """As is the custom where a network is cast for training."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.float()


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_a_map_of_less_precision_is_normalised_in_that_of_its_scale(by_the_rule_of_torch_2_11, precision):
    x, scale, shift = torch.randn(50, 8).to(precision), torch.randn(8), torch.randn(8)
    found = norm.affine(x, scale, shift)
    assert found.dtype == precision
    assert found.equal((x.float() * scale + shift).to(precision))
