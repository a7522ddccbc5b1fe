"""The middle of an MBConv in Triton against float64, on a GPU or in the interpreter."""

import copy

import pytest
import torch
from conftest import randomise
from torch import nn

from maxvit_mm.fast.gpu import narrow
from maxvit_mm.network import deploy, find_convention
from maxvit_mm.network.mbconv import MBConv
from maxvit_mm.network.twins import TWINS, choose, listening, why_not

SEAM = "MBConv.narrow"
(ROW,) = (row for row in TWINS[SEAM] if row.run is narrow.infer)
OFFICIAL, TORCHVISION = find_convention("official"), find_convention("torchvision")
LIMITS = {torch.float32: 2e-6, torch.float16: 3e-3, torch.bfloat16: 2e-2}


def layer_of(stride, convention=OFFICIAL, is_deployed=False, outputs=16):
    layer = randomise(MBConv(16, outputs, stride, 0.0, convention=convention)).eval()
    return deploy(layer) if is_deployed else layer


def assert_right(layer, x, limit=None):
    """Of what comes out, in the layer's precision; the truth is in float64, on the CPU."""
    with torch.no_grad():
        found = narrow.infer(layer, x)
        expected = MBConv.narrow.plain(copy.deepcopy(layer).cpu().double(), x.cpu().double())
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert (found.cpu() - expected).abs().max() <= (limit or LIMITS[x.dtype]) * expected.abs().max()


def a_map(*size, device, dtype=torch.float32, channels=64):
    x = torch.randn(size[0], channels, *size[1:]).to(device, dtype)
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("is_deployed", [False, True])
@pytest.mark.parametrize(
    ("stride", "convention"), [(1, OFFICIAL), (2, OFFICIAL), (1, TORCHVISION), (2, TORCHVISION)]
)
@pytest.mark.parametrize("size", [(2, 5, 6), (1, 6, 3), (3, 1, 1), (1, 1, 5)])
def test_what_comes_out_equals_float64s(of_kernels, full_of_nan, size, stride, convention, is_deployed):
    layer = layer_of(stride, convention, is_deployed).to(of_kernels)
    assert_right(layer, a_map(*size, device=of_kernels))


@pytest.mark.parametrize("stride", [1, 2])
def test_several_walks_and_tiles_of_channels_meet(of_kernels, full_of_nan, monkeypatch, stride):
    """A walk of few columns, and more channels than a tile has, the last tile not full."""
    monkeypatch.setattr("maxvit_mm.fast.gpu.launch.depthwise.SHORTEST_WALK", 3)
    layer = layer_of(stride, outputs=20).to(of_kernels)
    assert_right(layer, a_map(1, 3, 14, device=of_kernels, channels=80))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_network_that_is_cast_is_computed_in_fp32_inside(of_kernels, full_of_nan, stride, dtype):
    layer = layer_of(stride).to(of_kernels, dtype)
    assert_right(layer, a_map(2, 5, 4, device=of_kernels, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_under_autocast_it_returns_that_precision(of_kernels, full_of_nan, dtype):
    layer, x = layer_of(2).to(of_kernels), a_map(1, 5, 4, device=of_kernels)
    with torch.no_grad(), torch.autocast(of_kernels.type, dtype):
        found = narrow.infer(layer, x)
    assert found.dtype == dtype
    expected = MBConv.narrow.plain(copy.deepcopy(layer).double(), x.double())
    assert (found - expected).abs().max() <= LIMITS[dtype] * expected.abs().max()


def test_maps_of_any_strides_and_offset_are_taken(of_kernels, full_of_nan):
    wide = torch.full((2, 64, 5, 9), float("nan"), device=of_kernels)
    wide[..., 1::2] = torch.randn(2, 64, 5, 4)
    assert_right(layer_of(1).to(of_kernels), wide[..., 1::2])


def test_an_image_has_no_say_in_another(of_kernels):
    layer, x = layer_of(1).to(of_kernels), a_map(3, 3, 5, device=of_kernels)
    with torch.no_grad():
        together = narrow.infer(layer, x)
        for i in range(3):
            torch.testing.assert_close(narrow.infer(layer, x[i : i + 1]), together[i : i + 1])


def test_two_runs_are_equal_to_the_last_bit(of_kernels):
    layer, x = layer_of(2).to(of_kernels), a_map(2, 5, 7, device=of_kernels)
    with torch.no_grad():
        assert narrow.infer(layer, x).equal(narrow.infer(layer, x))


def test_of_no_images_nothing_comes_out(of_kernels):
    with torch.no_grad():
        assert narrow.infer(layer_of(2).to(of_kernels), a_map(0, 5, 7, device=of_kernels)).shape == (
            0,
            16,
            3,
            4,
        )


@pytest.mark.parametrize(
    "size", [(1, 3, 5), (1, 5, 7)], ids=["a map smaller than weights", "and a larger one"]
)
def test_the_gate_scales_the_map_or_the_weights_whichever_is_smaller(size):
    y, factor = a_map(2, *size[1:], device="cpu"), torch.rand(2, 64)
    weight, bias = torch.randn(16, 64), torch.randn(16)
    assert (size[1] * size[2] > len(weight)) == (size == (1, 5, 7))
    expected = nn.functional.conv2d(y * factor[..., None, None], weight[..., None, None], bias)
    torch.testing.assert_close(narrow.gated_product(y, factor, weight, bias), expected)


def test_compilers_take_the_kernel_as_one_operator_for_maps_of_all_sizes(of_kernels):
    torch._dynamo.reset()
    layer = layer_of(2).to(of_kernels)
    compiled = torch.compile(
        lambda x: narrow.infer(layer, x), backend="aot_eager", fullgraph=True, dynamic=True
    )
    with torch.no_grad():
        for size in ((1, 5, 6), (2, 4, 3)):
            x = a_map(*size, device=of_kernels)
            torch.testing.assert_close(compiled(x), narrow.infer(layer, x))
    torch._dynamo.reset()


CHANGES = {
    "a norm takes the statistics of this batch": lambda layer: layer.norm2.train(),
    "one of its norms has been folded": lambda layer: setattr(layer, "norm1", nn.Identity()),
    "does not compute in torch.float64": lambda layer: layer.double(),
    "is for strides of 1 and of 2": lambda layer: setattr(layer.depthwise, "stride", (2, 1)),
    "act is of class": lambda layer: setattr(layer, "act", nn.ReLU()),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_it_says_what_it_is_not_for(of_kernels, reason):
    layer = layer_of(1).to(of_kernels)
    row = ROW._replace(devices=(of_kernels.type,))
    x = a_map(1, 3, 3, device=of_kernels)
    assert why_not(row, layer, x) is None
    CHANGES[reason](layer)
    assert reason in why_not(row, layer, x.to(layer.shrink.weight.dtype))


def test_no_map_on_a_cpu_goes_there():
    layer, x, chosen = layer_of(1), a_map(1, 3, 3, device="cpu"), []
    with torch.no_grad(), listening(chosen.append):
        layer.narrow(x)
        assert choose(SEAM, layer, x) is not ROW
    assert {choice.runs for choice in chosen} <= {"cpu", "plain"}
