"""The table of twins, walked: each against the method as it is written, and each reason to step aside."""

import copy
import logging
import threading

import pytest
import torch
from conftest import SMALL, randomise
from torch import nn

from maxvit_mm import MaxViT, fast
from maxvit_mm.fast.cpu import reasons as reasons_module
from maxvit_mm.network import Trunk, deploy, find_convention, find_variant, set_implementation, twins
from maxvit_mm.network.attention import FFN, AttentionAndFFN, PartitionAttention
from maxvit_mm.network.mbconv import MBConv
from maxvit_mm.network.partition import Block, Grid
from maxvit_mm.network.same_conv import DepthwiseConv2d, PointwiseConv2d
from maxvit_mm.network.touched import touched_inside
from maxvit_mm.network.trunk import MaxViTBlock, Stem
from maxvit_mm.network.twins import SEAMS, TWINS, TwinError, choose, listening, plain

pytestmark = pytest.mark.usefixtures("no_map_is_too_small")
OFFICIAL, TORCHVISION = find_convention("official"), find_convention("torchvision")
BLOCKS = (32, 2, OFFICIAL), (64, 1, OFFICIAL), (32, 2, TORCHVISION), (64, 2, TORCHVISION)
SIZES = [(14, 14), (15, 23), (3, 2)]


def maps(*channels):
    """Maps [b, *channels, height, width] of sizes that a partition of 7 divides, does not, and holds."""
    return [torch.randn(2, *channels, *size).contiguous(memory_format=torch.channels_last) for size in SIZES]


# For each method, layers and what to call them with.
CASES = {
    "Stem.forward": lambda: [
        (Stem(24, convention=convention), [(torch.randn(2, 3, *size),) for size in ((32, 32), (33, 46))])
        for convention in (OFFICIAL, TORCHVISION)
    ],
    "MaxViTBlock.forward": lambda: [
        (MaxViTBlock(inputs, 64, stride, 7, 0.0, convention=convention), [(x, (7, 7)) for x in maps(inputs)])
        for inputs, stride, convention in BLOCKS
    ],
    "MBConv.narrow": lambda: [
        (MBConv(32, 32, stride, 0.0, convention=convention), [(x,) for x in maps(128)])
        for stride, convention in ((1, OFFICIAL), (2, OFFICIAL), (2, TORCHVISION))
    ],
    "MBConv.branch": lambda: [
        (MBConv(24, 32, stride, 0.0, convention=convention), [(x,) for x in maps(24)])
        for stride, convention in ((1, OFFICIAL), (2, OFFICIAL), (2, TORCHVISION))
    ],
    "PartitionAttention.forward": lambda: [
        (PartitionAttention(64, partition, 7), [(x.permute(0, 2, 3, 1), (7, 7)) for x in maps(64)])
        for partition in (Block, Grid)
    ],
    "PartitionAttention.attend": lambda: [
        (
            PartitionAttention(64, partition, table),
            [(x.permute(0, 2, 3, 1), size) for x in maps(192) for size in ((7, 7), (5, 4))],
        )
        for partition in (Block, Grid)
        for table in (7, 8)
    ],
    "FFN.forward": lambda: [
        (FFN(64, gelu), [(x.permute(0, 2, 3, 1),) for x in maps(64)]) for gelu in ("tanh", "none")
    ],
    "PointwiseConv2d.forward": lambda: [
        (PointwiseConv2d(64, 24, 1, bias=bias), [(x,) for x in maps(64)]) for bias in (True, False)
    ],
    "DepthwiseConv2d.forward": lambda: [
        (DepthwiseConv2d(64, stride, bias, convention.padding), [(x,) for x in maps(64)])
        for stride, bias, convention in ((1, True, OFFICIAL), (2, False, OFFICIAL), (2, True, TORCHVISION))
    ],
}
# The modules that a twin does the work of: all that the method calls, but for those the twin calls itself.
INSIDE = {
    ("Stem.forward", False): {"conv1", "norm", "act", "conv2"},
    ("Stem.forward", True): {"norm", "act", "conv2"},
    ("MaxViTBlock.forward", False): {"mbconv", "block_attention", "grid_attention"},
    ("MaxViTBlock.forward", True): {"mbconv", "block_attention", "grid_attention"},
    ("MaxViTBlock.forward", None): {
        *("mbconv.drop_path", "block_attention.norm1", "block_attention.norm2", "block_attention.drop_path"),
        *("grid_attention.norm1", "grid_attention.norm2", "grid_attention.drop_path"),
    },
    ("MBConv.branch", True): {"expand", "norm1", "act", "depthwise", "norm2", "se", "shrink"},
    ("MBConv.narrow", False): {"norm1", "act", "depthwise", "norm2", "se", "shrink"},
    ("MBConv.narrow", True): {"norm1", "act", "depthwise", "norm2", "se", "shrink"},
    ("PartitionAttention.forward", True): {"qkv", "out"},
    ("PartitionAttention.attend", False): set(),
    ("PartitionAttention.attend", True): set(),
    ("PartitionAttention.attend", None): set(),
    ("FFN.forward", True): {"0", "1", "2"},
    ("FFN.forward", False): {"0", "1", "2"},
    ("PointwiseConv2d.forward", None): set(),
    ("DepthwiseConv2d.forward", None): set(),
}
ROWS = [(seam, twin) for seam, all_of_them in TWINS.items() for twin in all_of_them]
IDS = [
    f"{seam}-{twin.name}-{ {True: 'training', False: 'inference', None: 'both'}[twin.training] }"
    for seam, twin in ROWS
]
everywhere = pytest.mark.parametrize(("seam", "twin"), ROWS, ids=IDS)


def a_call(seam):
    layer, calls = CASES[seam]()[0]
    return randomise(layer).eval(), calls[1]


def assert_close(found, expected, tolerance, rounding=1e-9):
    assert (found - expected).abs().max() <= tolerance * expected.abs().max() + rounding


def test_every_twin_has_a_case():
    assert TWINS.keys() == CASES.keys() == SEAMS.keys()
    assert {(seam, twin.training): set(twin.inside) for seam, twin in ROWS} == INSIDE


def is_kernel(twin):
    return twin.run.__module__.startswith("maxvit_mm.fast.gpu.")


@everywhere
@pytest.mark.parametrize("training", [False, True])
def test_a_twin_computes_what_the_method_computes_as_it_is_written(request, seam, twin, training):
    """Values and, with a backward pass to come, every gradient and statistic, in fp64 if the twin has it."""
    method, backward = SEAMS[seam], training if twin.training is None else twin.training
    precision, device, some, tolerance = torch.float64, "cpu", slice(None), 1e-9
    if is_kernel(twin):  # they have a test of their own against fp64, with more sizes
        precision, device = torch.float32, request.getfixturevalue("of_kernels")
        some, tolerance = slice(-1, None), 2e-5
    elif not backward:
        precision, tolerance = torch.float32, 5e-6
    for layer, calls in CASES[seam]():
        layer = randomise(layer).to(device, precision).train(training and backward)
        for x, *rest in calls[some]:
            x, both = x.to(device, precision), []
            for run in (twin.run, method):
                at = torch.float64 if is_kernel(twin) and run is method else precision
                one, leaf = copy.deepcopy(layer).to(at), x.detach().clone().to(at)
                with plain(one), torch.set_grad_enabled(backward):
                    leaf.requires_grad_(backward)
                    out = run(one, leaf, *rest)
                found = {"out": out, **dict(one.named_buffers())}
                if backward:
                    (out * torch.linspace(-1, 1, out.numel()).to(out).view_as(out)).sum().backward()
                    gradients = {name: p.grad for name, p in one.named_parameters() if p.grad is not None}
                    found |= {"x": leaf.grad, **gradients}
                assert leaf.equal(x.to(at))  # what it was given is as it was
                both.append(found)
            assert both[0].keys() == both[1].keys()
            for name, expected in both[1].items():
                # Of a bias before a norm the gradient is nought, but for what fp32 rounds.
                assert_close(both[0][name], expected, tolerance, 1e-5 if is_kernel(twin) else 1e-9)


@everywhere
def test_a_twin_is_chosen_where_nothing_is_in_its_way(monkeypatch, seam, twin):
    rows = TWINS[seam]
    monkeypatch.setitem(TWINS, seam, rows[next(i for i, row in enumerate(rows) if row is twin) :])
    layer, call = a_call(seam)
    if "cpu" not in twin.devices and not torch.cuda.is_available():
        assert "it is for cuda, the map is on cpu" in twins.why_not(twin, layer, *call)
        return
    device = "cpu" if "cpu" in twin.devices else "cuda"
    layer, call = layer.to(device), [call[0].to(device), *call[1:]]
    with torch.set_grad_enabled(bool(twin.training)):
        set_implementation(layer, "auto")
        assert choose(seam, layer, *call) is twin
        set_implementation(layer, twin.name)
        assert choose(seam, layer, *call) is twin
        set_implementation(layer, "plain")
        assert choose(seam, layer, *call) is None


def test_a_name_stands_for_the_first_of_its_twins_that_can_run(monkeypatch):
    seam, reason = "MBConv.narrow", "its kernel is not here"
    layer, call = a_call(seam)
    (twin,) = (each for each in TWINS[seam] if each.name == "cpu")
    refuses = twin._replace(why_not=lambda *_: reason)
    layer.implementation = "cpu"
    monkeypatch.setitem(TWINS, seam, [refuses, twin])
    found = []
    with listening(found.append):
        assert choose(seam, layer, *call) is twin
    assert (found[0].runs, found[0].why_not) == ("cpu", (("cpu", reason),))
    monkeypatch.setitem(TWINS, seam, [refuses, refuses])
    with pytest.raises(TwinError, match=f"cannot run {seam}: {reason}; {reason}"):
        choose(seam, layer, *call)


def test_of_several_twins_that_can_run_the_first_is_taken(monkeypatch):
    seam = "MBConv.narrow"
    layer, call = a_call(seam)
    first = choose(seam, layer, *call)
    monkeypatch.setitem(TWINS, seam, [*TWINS[seam], first._replace(inside=())])
    assert choose(seam, layer, *call) is first


def test_a_method_that_may_have_twins_keeps_its_name_and_what_it_says_of_itself():
    for kind, name in ((PartitionAttention, "attend"), (MBConv, "narrow"), (FFN, "forward")):
        method = getattr(kind, name)
        assert (method.__name__, method.__doc__) == (name, method.plain.__doc__)
    assert "Queries, keys and values" in PartitionAttention.attend.__doc__


def as_hooked(module):
    module.register_forward_hook(lambda *_: None)


def as_hooked_before(module):
    module.register_forward_pre_hook(lambda *_: None)


def as_hooked_on_the_way_back(module):
    module.register_full_backward_hook(lambda *_: None)


def as_patched(module):
    module.forward = lambda *arguments: type(module).forward(module, *arguments)


def as_a_class_of_its_own(module):
    kind = type(module)
    module.__class__ = type("Adapted", (kind,), {"forward": lambda self, *x: kind.forward(self, *x)})


def as_parametrised(module):
    torch.nn.utils.parametrize.register_parametrization(module, "weight", nn.Identity())


TOUCHES = {
    "a hook": as_hooked,
    "a hook before": as_hooked_before,
    "a backward hook": as_hooked_on_the_way_back,
    "a method": as_patched,
    "a class": as_a_class_of_its_own,
    "parametrised": as_parametrised,
}


@pytest.mark.parametrize("touch", TOUCHES)
@pytest.mark.parametrize(("seam", "twin"), [row for row in ROWS if row[1].inside])
def test_a_twin_steps_aside_where_any_module_inside_has_been_touched(seam, twin, touch):
    inside = INSIDE[seam, twin.training]
    names = [
        inner
        for name in inside
        for inner, _ in a_call(seam)[0].get_submodule(name).named_modules(prefix=name)
    ]
    assert names
    for name in names:
        layer, call = a_call(seam)
        module = layer.get_submodule(name)
        if touch == "parametrised" and getattr(module, "weight", None) is None:
            continue
        TOUCHES[touch](module)
        with torch.set_grad_enabled(bool(twin.training)):
            if "cpu" in twin.devices:
                assert choose(seam, layer, *call) is None, name
        assert touched_inside(layer, twin.inside).startswith(f"{name} ")


class CalledOtherwise(nn.Linear):
    def __call__(self, x):
        return 2 * super().__call__(x)


class ConvolvesOtherwise(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return 2 * super()._conv_forward(x, weight, bias)


def in_another_order(module):
    module._parameters["weight"] = module._parameters.pop("weight")


# A layer's form is changed, so that its plain method still runs and computes something else.
CHANGES = {
    "dilated": ("mbconv.depthwise", lambda m: m.__dict__.update(dilation=(2, 2), padding=(2, 2))),
    "reflecting": (
        "mbconv.depthwise",
        lambda m: m.__dict__.update(padding_mode="reflect", _reversed_padding_repeated_twice=[1] * 4),
    ),
    "a plain convolution": ("mbconv.depthwise", lambda m: nn.Conv2d(256, 256, 3, 1, 1, groups=256)),
    "grouped": ("mbconv.shrink", lambda m: nn.Conv2d(256, 64, 1, groups=2)),
    "no gate": ("mbconv.se", lambda m: nn.Identity()),
    "no activation": ("mbconv.act", lambda m: nn.Identity()),
    "another activation": ("mbconv.act", lambda m: nn.GELU("none")),
    "an expansion with a bias": ("mbconv.expand", lambda m: nn.Conv2d(64, 256, 1)),
    "a projection": ("mbconv.shortcut", lambda m: nn.Conv2d(64, 64, 3, padding=1)),
    "a pool": ("mbconv.pool", lambda m: nn.AvgPool2d(3, 1, 1)),
    "a norm without statistics": ("mbconv.norm2", lambda m: nn.BatchNorm2d(256, track_running_stats=False)),
    "a norm without momentum": ("mbconv.norm1", lambda m: nn.BatchNorm2d(256, momentum=None)),
    "a norm without weight": ("mbconv.norm1", lambda m: nn.BatchNorm2d(256, affine=False)),
    "no norm": ("mbconv.norm1", lambda m: nn.Identity()),
    "a LayerNorm without weight": (
        "block_attention.norm1",
        lambda m: nn.LayerNorm(64, elementwise_affine=False),
    ),
    "another epsilon": ("grid_attention.norm2", lambda m: nn.LayerNorm(64, eps=0.1)),
    "no LayerNorm": ("block_attention.norm2", lambda m: nn.Identity()),
    "no GELU": ("block_attention.ffn.1", lambda m: nn.Identity()),
    "another GELU": ("block_attention.ffn.1", lambda m: nn.GELU("none")),
    "no bias": ("block_attention.ffn.0", lambda m: nn.Linear(64, 256, bias=False)),
    "queries without a bias": ("grid_attention.attention.qkv", lambda m: nn.Linear(64, 192, bias=False)),
    "another partition": ("block_attention.attention", lambda m: setattr(m, "partition", Grid)),
    "grid and grid": ("block_attention", lambda m: AttentionAndFFN(64, Grid, 7, 0.0)),
    "a class that is called otherwise": ("grid_attention.ffn.2", lambda m: CalledOtherwise(256, 64)),
    "a class that convolves otherwise": ("mbconv.shrink", lambda m: ConvolvesOtherwise(256, 64, 1)),
    "weights in another order": ("mbconv.shrink", in_another_order),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_layer_of_another_form_is_run_as_it_is_written(change, training):
    block, x = MaxViTBlock(64, 64, 1, 7, 0.0), torch.randn(2, 64, 15, 22)
    name, make = CHANGES[change]
    module = make(block.get_submodule(name))
    if isinstance(module, nn.Module):
        block.set_submodule(name, module)
    randomise(block).train(training)
    other = copy.deepcopy(block)
    with torch.set_grad_enabled(training), plain(other):
        expected = other(x, (7, 7))
        if training:
            expected.square().sum().backward()
    with torch.set_grad_enabled(training):
        found = block(x, (7, 7))
        if training:
            found.square().sum().backward()
    assert_close(found, expected, 1e-5)
    for one, wanted in zip(block.parameters(), other.parameters(), strict=True):
        assert (one.grad is None) == (wanted.grad is None)
        if wanted.grad is not None and wanted.grad.abs().max() > 1e-2:
            assert_close(one.grad, wanted.grad, 1e-3)


def test_a_stem_of_another_form_is_run_as_it_is_written():
    for name, module in {"conv2": nn.Conv2d(24, 24, 3, padding=2, dilation=2), "act": nn.Identity()}.items():
        stem, images = Stem(24).eval(), torch.randn(1, 3, 33, 46)
        stem.set_submodule(name, module)
        for training in (False, True):
            with torch.set_grad_enabled(training):
                found = stem(images)
                with plain(stem):
                    assert_close(found, stem(images), 1e-5)


def test_a_method_patched_on_a_class_is_honoured(monkeypatch):
    block, x = randomise(MaxViTBlock(64, 64, 1, 7, 0.0)).eval(), torch.randn(1, 64, 15, 22)
    with torch.no_grad():
        before = block(x, (7, 7))
        monkeypatch.setattr(AttentionAndFFN, "forward", lambda self, x, size: 2 * x)
        found = block(x, (7, 7))
        with plain(block):
            assert_close(found, block(x, (7, 7)), 1e-5)
    assert not found.allclose(before)


def test_transforms_of_torch_func_take_the_network_as_it_is_written():
    network, images = randomise(MBConv(32, 32, 1, 0.0)).eval(), torch.randn(1, 32, 9, 9)
    parameters = {name: p.detach() for name, p in network.named_parameters()}

    def loss(given):
        return torch.func.functional_call(network, given, (images,)).square().sum()

    found = torch.func.grad(loss)(parameters)
    network(images).square().sum().backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-3)
    with torch.no_grad(), torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(images, torch.ones_like(images))
        chosen = []
        with listening(chosen.append):
            network.narrow(network.expand(dual))
        assert {choice.runs for choice in chosen} == {"plain"}


def seen_by_hooks(network, images, modules, training):
    """What hooks on inner modules are given, by name: kept as they are until the network is done."""
    seen = {}

    def keep(name):
        return lambda module, inputs, output: seen.update({name: (inputs[0], output)})

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in modules]
    torch.manual_seed(0)
    with torch.set_grad_enabled(training):
        out = network(images)
    for handle in handles:
        handle.remove()
    return seen, out


@pytest.mark.parametrize("training", [False, True])
def test_a_hook_on_any_inner_module_sees_what_the_plain_network_shows_and_keeps_it(training):
    network = randomise(Trunk(find_variant(SMALL), stages=1)).train(training)
    network.stages[0][0].block_attention.drop_path.rate = 0.1
    images = torch.randn(2, 3, 32, 64)
    called = [name for name, each in network.named_modules() if name and not isinstance(each, nn.ModuleList)]
    with plain(network):
        expected, maps_expected = seen_by_hooks(copy.deepcopy(network), images, called, training)
    assert expected.keys() == set(called)
    for name in called:
        seen, found = seen_by_hooks(copy.deepcopy(network), images, [name], training)
        for one, other in zip((*seen[name], *found), (*expected[name], *maps_expected), strict=True):
            assert_close(one, other, 1e-5)


def test_a_hook_may_change_what_a_module_returns():
    network, images = randomise(Trunk(find_variant(SMALL))).eval(), torch.randn(1, 3, 64, 64)
    network.stages[0][0].mbconv.depthwise.register_forward_hook(lambda module, inputs, output: output * 0)
    network.stages[0][0].grid_attention.ffn[1] = nn.ReLU()
    with torch.no_grad():
        with plain(network):
            expected = network(images)
        for found, wanted in zip(network(images), expected, strict=True):
            assert_close(found, wanted, 1e-5)


def test_a_hook_for_all_modules_is_called_for_all():
    network, seen = Trunk(find_variant(SMALL)).eval(), []
    with torch.no_grad():
        handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
        network(torch.randn(1, 3, 64, 64))
        handle.remove()
    assert set(network.modules()) - set(seen) <= {
        m for m in network.modules() if isinstance(m, nn.ModuleList)
    }


def test_a_method_patched_on_an_instance_is_honoured():
    network, images = randomise(Trunk(find_variant(SMALL))).eval(), torch.randn(1, 3, 64, 64)
    mbconv = network.stages[0][0].mbconv
    narrow = mbconv.narrow
    mbconv.narrow = lambda x: 0 * narrow(x)
    with torch.no_grad():
        found = network(images)[0]
        with plain(network):
            expected = network(images)[0]
    assert_close(found, expected, 1e-5)


def reasons(network, images, seam):
    """What keeps the twins from running a method, in its first layer that is called."""
    found = []
    with listening(found.append):
        network(images)
    return " ".join(reason for _, reason in next(c for c in found if c.seam == seam).why_not)


@pytest.mark.parametrize(
    ("change", "seam", "reason"),
    [
        (lambda n: n.stages[0][0].mbconv.norm1.train(), "MaxViTBlock.forward", "statistics of this batch"),
        (lambda n: n.double(), "MaxViTBlock.forward", "oneDNN does not compute in torch.float64"),
        (lambda n: n.double(), "Stem.forward", "oneDNN does not compute in torch.float64"),
        (lambda n: n.stem.norm.train(), "Stem.forward", "statistics of this batch"),
        (lambda n: setattr(n.stem, "norm", nn.Identity()), "Stem.forward", "a norm is of class Identity"),
        (lambda n: n.stages[0][0].mbconv.drop_path.train(), "MaxViTBlock.forward", "branches are dropped"),
        (
            lambda n: setattr(n.stages[0][0].block_attention.ffn[0], "bias", None),
            *("MaxViTBlock.forward", "0 has no bias"),
        ),
        (
            lambda n: setattr(n.stages[0][0].block_attention.norm2, "eps", 1e-3),
            *("MaxViTBlock.forward", "differ in epsilon"),
        ),
        (
            lambda n: n.stages[0][0].mbconv.se.register_forward_hook(lambda *_: None),
            *("MaxViTBlock.forward", "mbconv.se has a hook"),
        ),
        (lambda n: set_implementation(n, "plain"), "Stem.forward", "it was asked for"),
    ],
)
def test_what_keeps_twins_from_inference_is_said(change, seam, reason):
    network = randomise(Trunk(find_variant(SMALL), drop_path_rate=0.5)).eval()
    network.stages[0][0].mbconv.drop_path.rate = 0.5
    change(network)
    precision = network.stem.conv1.weight.dtype
    with torch.no_grad():
        assert reason in reasons(network, torch.randn(1, 3, 64, 64, dtype=precision), seam)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: setattr(m.norm1, "momentum", None), "without momentum"),
        (lambda m: setattr(m, "norm2", nn.BatchNorm2d(128, affine=False)), "no weight"),
        (lambda m: setattr(m, "norm2", nn.BatchNorm2d(128, track_running_stats=False)), "no statistics"),
        (lambda m: setattr(m.shrink, "bias", None), "shrink has no bias"),
        (lambda m: setattr(m, "norm1", nn.Identity()), "have been folded"),
    ],
)
def test_what_keeps_twins_from_training_is_said(change, reason):
    layer = MBConv(32, 32, 1, 0.0)
    change(layer)
    assert reason in reasons(layer, torch.randn(2, 32, 9, 9), "MBConv.narrow")


@pytest.mark.parametrize("implementation", ["auto", "cpu"])
@pytest.mark.parametrize("training", [False, True])
def test_no_images_are_no_work_for_a_twin(training, implementation):
    layer, chosen = MaxViTBlock(32, 32, 2, 7, 0.0).eval(), []
    set_implementation(layer, implementation)
    with torch.set_grad_enabled(training), listening(chosen.append):
        assert layer(torch.randn(0, 32, 14, 14), (7, 7)).shape == (0, 32, 7, 7)
    assert {choice.runs for choice in chosen} == {"plain"}


def test_small_maps_train_as_the_network_is_written_unless_a_twin_is_asked_for(monkeypatch):
    monkeypatch.setattr(reasons_module, "SMALL", 2**20)
    layer = MBConv(32, 32, 1, 0.0)
    small, large = (torch.randn(2, 128, side, side) for side in (31, 32))  # 961 and 1024 KiB
    seam = "MBConv.narrow"
    assert choose(seam, layer, large).name == "cpu"
    assert choose(seam, layer, small) is None
    assert "maps of less than 1024 KiB train faster" in reasons(layer, small[:, :32], seam)
    set_implementation(layer, "cpu")
    assert choose(seam, layer, small).name == "cpu"
    ffn, tokens = FFN(64, "tanh"), torch.randn(2, 16, 32, 64)  # 1024 KiB between its layers
    assert choose("FFN.forward", ffn, tokens).name == "cpu"
    assert choose("FFN.forward", ffn, tokens[1:]) is None
    stem, images = Stem(64), torch.randn(1, 3, 128, 128)  # 1024 KiB behind the first convolution
    assert choose("Stem.forward", stem, images).name == "cpu"
    assert choose("Stem.forward", stem, images[:, :, 2:]) is None


def test_a_name_that_cannot_run_is_an_error_with_the_reason():
    network, images = Trunk(find_variant(SMALL), implementation="cpu").eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        network(images)
        network.stages[1][0].grid_attention.ffn[1].register_forward_hook(print)
        with pytest.raises(TwinError, match=r"grid_attention\.ffn\.1 has a hook.*'plain' the network"):
            network(images)
        set_implementation(network, "cuda")
        with pytest.raises(TwinError, match=r"'cuda' cannot run .* the map is on cpu"):
            network(images)


def test_a_name_that_no_twin_has_is_refused_where_it_is_given(monkeypatch):
    with pytest.raises(ValueError, match="one of auto, plain, cuda, cpu; got 'fast'"):
        MaxViT(SMALL, implementation="fast")
    monkeypatch.setenv("MAXVIT_MM_IMPLEMENTATION", "gpu")
    with pytest.raises(
        ValueError, match="MAXVIT_MM_IMPLEMENTATION is one of auto, plain, cuda, cpu; got 'gpu'"
    ):
        MaxViT(SMALL)


def test_the_environment_goes_before_the_argument(monkeypatch):
    assert MaxViT(SMALL, implementation="cpu").trunk.stem.implementation == "cpu"
    monkeypatch.setenv("MAXVIT_MM_IMPLEMENTATION", "plain")
    network = MaxViT(SMALL, implementation="cpu")
    assert {m.implementation for m in network.modules() if isinstance(m, twins.Layer)} == {"plain"}
    assert copy.deepcopy(network).trunk.stem.implementation == "plain"
    monkeypatch.setenv("MAXVIT_MM_IMPLEMENTATION", "")
    assert MaxViT(SMALL).trunk.stem.implementation == "auto"


def test_plain_asks_no_twin_and_gives_the_network_as_it_is_written(monkeypatch):
    network, images = randomise(Trunk(find_variant(SMALL))).eval(), torch.randn(1, 3, 64, 64)
    for rows in TWINS.values():
        monkeypatch.setattr(twins, "TWINS", {seam: [] for seam in TWINS})
        assert rows
    with torch.no_grad():
        expected = network(images)
    monkeypatch.undo()
    with torch.no_grad(), plain(network):
        assert all(map(torch.equal, network(images), expected))


def test_a_checkpointed_block_chooses_twice_alike():
    network, found = Trunk(find_variant(SMALL), checkpointing=True).train(), []
    set_implementation(network.stages[0], "plain")
    with listening(found.append):
        network(torch.randn(2, 3, 64, 64))[-1].sum().backward()
    by_layer = {}
    for choice in found:
        by_layer.setdefault((choice.seam, choice.layer), []).append(choice.runs)
    twice = [runs for (_, layer), runs in by_layer.items() if layer is not network.stem]
    assert all(len(runs) == 2 and runs[0] == runs[1] for runs in twice)
    assert {runs[0] for runs in twice} == {"plain", "cpu"}


def test_two_threads_have_networks_of_their_own_choice():
    networks = [Trunk(find_variant(SMALL), implementation=name).eval() for name in ("plain", "cpu")]
    found = {network.stem: [] for network in networks}

    def listen(choice):
        if choice.layer in found:
            found[choice.layer].append(choice.runs)

    def run(network):
        with torch.no_grad():
            for _ in range(5):
                network(torch.randn(1, 3, 64, 64))

    with listening(listen):
        threads = [threading.Thread(target=run, args=(network,)) for network in networks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [set(runs) for runs in found.values()] == [{"plain"}, {"cpu"}]


def test_the_log_has_each_reason_once(caplog):
    network, images = Trunk(find_variant(SMALL)).eval(), torch.randn(1, 3, 64, 64)
    network.stages[0][0].mbconv.se.register_forward_hook(lambda *_: None)
    twins._noted.clear()
    with torch.no_grad(), caplog.at_level(logging.INFO, "maxvit_mm"):
        network(images)
        network(images)
    said = [record.getMessage() for record in caplog.records if "mbconv.se has a hook" in record.getMessage()]
    assert said == ["MaxViTBlock.forward runs by plain, not by 'cpu': mbconv.se has a hook"]


def test_a_report_says_for_each_method_what_runs_and_why_not_the_others():
    network, images = randomise(MaxViT(SMALL, drop_path_rate=0.5)).train(), torch.randn(2, 3, 64, 64)
    network.trunk.stages[0][0].mbconv.se.register_forward_hook(lambda *_: None)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    state = torch.get_rng_state()
    found = fast.report(network, images)
    assert all(buffer.equal(before[name]) for name, buffer in network.named_buffers())
    assert torch.get_rng_state().equal(state)
    assert {row.seam for row in found} == SEAMS.keys()
    narrow = {row.runs: row for row in found if row.seam == "MBConv.narrow"}
    assert narrow["plain"].layers == ("trunk.stages.0.0.mbconv",)
    assert ("cpu", "se has a hook") in narrow["plain"].why_not
    assert len(narrow["cpu"].layers) == sum(SMALL["depths"]) - 1
    with torch.no_grad():
        table = str(fast.report(deploy(network.trunk.eval()), images))
    assert "| MaxViTBlock.forward | 4 | cpu |" in table
    assert "| MaxViTBlock.forward | 1 | plain | cpu: mbconv.se has a hook |" in table
    assert "| FFN.forward |" in table
    with pytest.raises(ValueError, match="give `report` the network, not a compiled one"):
        fast.report(nn.Identity(), images)
