"""The branch of an MBConv in Triton, trained, against float64: on a GPU or in the interpreter."""

import copy

import pytest
import torch
from conftest import randomise
from torch import nn

from maxvit_mm.fast.gpu import branch
from maxvit_mm.network import find_convention
from maxvit_mm.network.mbconv import MBConv
from maxvit_mm.network.twins import TWINS, choose, why_not

SEAM = "MBConv.branch"
(ROW,) = (row for row in TWINS[SEAM] if row.run is branch.train)
OFFICIAL, TORCHVISION = find_convention("official"), find_convention("torchvision")
LIMITS = {torch.float32: 2e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def layer_of(stride, convention=OFFICIAL, training=True, inputs=16, outputs=16, norm=nn.BatchNorm2d):
    made = dict(convention=convention, norm=lambda width: norm(width, eps=1e-3))
    layer = MBConv(inputs, outputs, stride, 0.0, **made)
    return randomise(layer).train(training)


def a_map(*size, device, dtype=torch.float32, channels=16):
    x = 0.5 + torch.randn(size[0], channels, *size[1:]).to(device, dtype)
    return x.contiguous(memory_format=torch.channels_last)


def step(run, layer, x):
    """What comes out, every gradient and every statistic, of a loss that reads every value."""
    layer, leaf = copy.deepcopy(layer), x.detach().clone().requires_grad_()
    out = run(layer, leaf)
    (
        out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).view(out.shape)
    ).sum().backward()
    gradients = {name: p.grad for name, p in layer.named_parameters() if p.grad is not None}
    return {"out": out.detach(), "x": leaf.grad, **gradients, **dict(layer.named_buffers())}


def size_of(name, expected):
    """Of a gradient; that of `pre_norm.bias` is but rounding where a norm behind takes means away."""
    return expected["pre_norm.weight" if name == "pre_norm.bias" else name].abs().max()


def assert_right(layer, x):
    found = step(branch.train, layer, x)
    expected = step(MBConv.branch.plain, copy.deepcopy(layer).cpu().double(), x.cpu().double())
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        distance = (found[name].cpu().double() - wanted).abs().max()
        assert distance <= LIMITS[x.dtype] * size_of(name, expected), name


@pytest.mark.parametrize("training", [True, False], ids=["statistics of the batch", "frozen statistics"])
@pytest.mark.parametrize(
    ("size", "stride", "convention"),
    [
        *(((2, 3, 4), 1, OFFICIAL), ((1, 5, 2), 1, TORCHVISION), ((3, 1, 1), 1, OFFICIAL)),
        *(((2, 4, 3), 2, OFFICIAL), ((1, 5, 6), 2, OFFICIAL), ((2, 1, 4), 2, TORCHVISION)),
    ],
)
def test_a_step_equals_float64s(of_kernels, full_of_nan, size, stride, convention, training):
    assert_right(layer_of(stride, convention, training).to(of_kernels), a_map(*size, device=of_kernels))


@pytest.mark.parametrize("stride", [1, 2])
def test_several_walks_tiles_and_shares_meet(of_kernels, full_of_nan, monkeypatch, stride):
    """Walks of few columns, images in several shares of one tile or two, more channels than a tile has."""
    monkeypatch.setattr("maxvit_mm.fast.gpu.launch.depthwise.SHORTEST_WALK", 4)
    monkeypatch.setitem(narrow_tile(), "PLACES", 4)
    monkeypatch.setattr("maxvit_mm.fast.gpu.launch.narrow.REDUCERS_AN_SM", 4)
    layer = layer_of(stride, inputs=36, outputs=20).to(of_kernels)
    assert_right(layer, a_map(1, 3, 9, device=of_kernels, channels=36))


def narrow_tile():
    from maxvit_mm.fast.gpu.launch import narrow  # which imports Triton

    return narrow.TILE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_map_in_16_bits_is_computed_in_fp32_inside(of_kernels, full_of_nan, stride, dtype):
    layer, x = layer_of(stride).to(of_kernels), a_map(2, 4, 3, device=of_kernels)
    if of_kernels.type == "cpu" and dtype == torch.bfloat16:
        layer.norm1.eval()  # Triton's interpreter takes the bits of bfloat16 for numbers in a product
    with torch.autocast(of_kernels.type, dtype):
        found = step(branch.train, layer, x.to(dtype))
    assert found["out"].dtype == found["x"].dtype == dtype
    assert found["depthwise.weight"].dtype == torch.float32
    expected = step(MBConv.branch.plain, copy.deepcopy(layer).double(), x.to(dtype).double())
    for name, wanted in expected.items():
        assert (found[name] - wanted).abs().max() <= LIMITS[dtype] * size_of(name, expected), name


def test_maps_and_gradients_of_any_strides_and_offset_are_taken(of_kernels, full_of_nan):
    wide = torch.full((2, 16, 3, 9), float("nan"), device=of_kernels)
    wide[..., 1::2] = torch.randn(2, 16, 3, 4)
    layer, x = layer_of(1).to(of_kernels), wide[..., 1::2]
    results = []
    for run, precision in ((branch.train, torch.float32), (MBConv.branch.plain, torch.float64)):
        one, leaf = copy.deepcopy(layer).to(precision), x.detach().to(precision).requires_grad_()
        run(one, leaf).sum().backward()  # of whose gradient all strides are 0
        results.append(leaf.grad)
    assert (results[0] - results[1]).abs().max() <= 2e-5 * results[1].abs().max()


def test_two_runs_are_equal_to_the_last_bit(of_kernels):
    layer, x = layer_of(2).to(of_kernels), a_map(2, 3, 5, device=of_kernels)
    one, other = (step(branch.train, layer, x) for _ in range(2))
    assert all(one[name].equal(other[name]) for name in one)


def test_a_norm_of_all_processes_is_taken_and_of_one_it_is_batch_norm(of_kernels):
    layer, x = layer_of(1, norm=nn.SyncBatchNorm).to(of_kernels), a_map(2, 3, 3, device=of_kernels)
    assert why_not(ROW._replace(devices=(of_kernels.type,)), layer, x) is None
    found = step(branch.train, layer, x)
    expected = step(branch.train, layer_of(1).to(of_kernels), x)
    assert all(found[name].equal(expected[name]) for name in expected)


CHANGES = {
    "a norm without momentum": lambda layer: setattr(layer.norm1, "momentum", None),
    "its norms have been folded": lambda layer: setattr(layer, "norm1", nn.Identity()),
    "does not compute in torch.float64": lambda layer: layer.double(),
    "without a bias": lambda layer: setattr(layer.depthwise, "bias", nn.Parameter(torch.zeros(64))),
    "is for strides of 1 and of 2": lambda layer: setattr(layer.depthwise, "stride", (2, 1)),
    "has a method of its own": lambda layer: setattr(layer, "narrow", layer.narrow),
    "expand is no 1x1 convolution": lambda layer: setattr(layer, "expand", nn.Conv2d(16, 64, 1, groups=2)),
    "act is of class": lambda layer: setattr(layer, "act", nn.ReLU()),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_it_says_what_it_is_not_for(of_kernels, reason):
    layer, x = layer_of(1).to(of_kernels), a_map(1, 3, 3, device=of_kernels)
    row = ROW._replace(devices=(of_kernels.type,))
    assert why_not(row, layer, x) is None
    CHANGES[reason](layer)
    assert reason in why_not(row, layer, x.to(layer.shrink.weight.dtype))


def test_no_map_on_a_cpu_goes_there(no_map_is_too_small):
    assert choose(SEAM, layer_of(1), a_map(1, 3, 3, device="cpu")) is not ROW
