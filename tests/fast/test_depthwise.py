"""Depthwise convolutions go past cuDNN on a GPU, whose place the CPU takes here."""

import copy
import threading

import pytest
import torch
from conftest import SMALL, randomise
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from maxvit_mm import MaxViT
from maxvit_mm.fast import depthwise
from maxvit_mm.network.same_conv import DepthwiseConv2d
from maxvit_mm.network.twins import TWINS, implementations, plain

pytestmark = pytest.mark.usefixtures("no_map_is_too_small")
aten = torch.ops.aten
OURS = {op._opoverload: op._init_fn for op in (depthwise._depthwise, depthwise._depthwise_backward)}
CONVOLUTIONS = {aten.conv2d.default: 1, aten.convolution.default: 1, aten.convolution_backward.default: 2}


class Convolutions(TorchDispatchMode):
    """Notes of each convolution, both ways, whether it is a depthwise one, and whether cuDNN is on."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, operator, types, arguments=(), named=None):
        if operator in CONVOLUTIONS:
            place = CONVOLUTIONS[operator]  # of the weight among the arguments
            self.seen.append((place == 2, arguments[place].shape[1] == 1, torch.backends.cudnn.enabled))
        if operator in OURS:  # look into it as well
            with self:
                return OURS[operator](*arguments, **(named or {}))
        return operator(*arguments, **(named or {}))

    def of_depthwise(self, is_backward):
        return [on for back, many, on in self.seen if many and back == is_backward]


@pytest.fixture
def cpu_as_gpu(monkeypatch):
    """Take a CPU's maps as those of a GPU without Triton, by the rows of a GPU."""
    monkeypatch.setattr("maxvit_mm.fast.gpu.reasons.of_device", lambda *_: "there is no Triton")
    monkeypatch.setattr(depthwise, "CUDNN_COMPILES", ("cpu",))
    for seam, rows in TWINS.items():
        of_gpu = [row._replace(devices=("cpu",)) for row in rows if row.name == "cuda"]
        monkeypatch.setitem(TWINS, seam, of_gpu)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("kind", ["training", "inference", "deployed"])
def test_cudnn_is_off_for_every_depthwise_convolution_both_ways_and_for_nothing_else(
    cpu_as_gpu, monkeypatch, kind, enabled
):
    monkeypatch.setattr(torch.backends.cudnn, "enabled", enabled)
    network, images = randomise(MaxViT(SMALL)).train(kind == "training"), torch.randn(2, 3, 65, 97)
    if kind == "deployed":
        network.switch_to_deploy()
    with Convolutions() as found, torch.set_grad_enabled(kind == "training"):
        maps = network(images)
        if kind == "training":
            sum(each.square().mean() for each in maps).backward()
    blocks = sum(SMALL["depths"])
    assert found.of_depthwise(False) == [False] * blocks
    assert found.of_depthwise(True) == [False] * (blocks if kind == "training" else 0)
    assert {on for _, many, on in found.seen if not many} == {enabled}
    assert torch.backends.cudnn.enabled is enabled


def test_a_layer_by_itself_goes_past_cudnn_in_the_backward_pass_too(cpu_as_gpu):
    layer, x = DepthwiseConv2d(8, 2), torch.randn(2, 8, 9, 12, requires_grad=True)
    with Convolutions() as found:
        layer(x).square().sum().backward()
    assert found.seen == [(False, True, False), (True, True, False)]
    assert layer.bias.grad is not None
    expected = copy.deepcopy(layer)
    expected.zero_grad()
    leaf = x.detach().clone().requires_grad_()
    with plain(expected):
        expected(leaf).square().sum().backward()
    torch.testing.assert_close(x.grad, leaf.grad)
    for one, other in zip(layer.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_on_a_cpu_and_as_it_is_written_cudnn_is_left_alone():
    network, images = randomise(MaxViT(SMALL)).train(), torch.randn(2, 3, 64, 64)
    for run in (network, MaxViT(SMALL, implementation="plain").train()):
        with Convolutions() as found:
            sum(each.square().mean() for each in run(images)).backward()
        assert {on for *_, on in found.seen} == {torch.backends.cudnn.enabled}


def test_a_failure_restores_the_setting(cpu_as_gpu):
    before, x = torch.backends.cudnn.enabled, torch.randn(1, 4, 8, 8)
    with pytest.raises(RuntimeError):
        depthwise.convolve(x, torch.randn(4, 1, 3, 3, dtype=torch.float64), None, 1, (1, 1), 4)
    assert torch.backends.cudnn.enabled is before


def test_of_several_threads_the_last_restores_the_setting(cpu_as_gpu):
    before, x = torch.backends.cudnn.enabled, torch.randn(1, 4, 8, 8)
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    seen = []

    def first():
        with depthwise.past_cudnn(x, 4):
            first_is_in.set()
            second_is_in.wait(10)
        first_is_out.set()

    def second():
        first_is_in.wait(10)
        with depthwise.past_cudnn(x, 4):
            second_is_in.set()
            first_is_out.wait(10)
            seen.append(torch.backends.cudnn.enabled)

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [False]
    assert torch.backends.cudnn.enabled is before


def test_it_is_a_row_of_the_gpus_table_and_of_no_new_name():
    assert [row.devices for row in TWINS["DepthwiseConv2d.forward"]] == [("cuda",)]
    assert implementations() == ["auto", "plain", "cuda", "cpu"]


@pytest.mark.parametrize("change", ["dilated", "of another class", "with other weights"])
def test_a_convolution_of_another_form_runs_as_it_is_written(cpu_as_gpu, change):
    layer, x = DepthwiseConv2d(8, 1), torch.randn(2, 8, 9, 12)
    if change == "dilated":
        layer.dilation = layer.padding = (2, 2)
    elif change == "of another class":
        layer.__class__ = type("Doubled", (DepthwiseConv2d,), {"forward": twice})
    else:
        layer.weight = nn.Parameter(layer.weight.detach().as_subclass(Other))
    with Convolutions() as found:
        out = layer(x)
    assert found.of_depthwise(False) == [torch.backends.cudnn.enabled]
    with plain(layer):
        torch.testing.assert_close(out, layer(x))


class Other(torch.Tensor):
    """A weight of another library."""


def twice(self, x):
    return 2 * DepthwiseConv2d.forward(self, x)


@pytest.mark.parametrize("bias", [False, True])
def test_compilers_take_it_as_one_operator_both_ways(cpu_as_gpu, bias):
    torch._dynamo.reset()
    layer = DepthwiseConv2d(8, 2, bias)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=True)
    for size in ((9, 12), (14, 14), (31, 6)):
        x = torch.randn(2, 8, *size).contiguous(memory_format=torch.channels_last)
        both = []
        for run in (layer, compiled):
            layer.zero_grad()
            leaf = x.clone().requires_grad_()
            out = run(leaf)
            out.square().sum().backward()
            both.append((out, leaf.grad, layer.weight.grad.clone()))
            assert out.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(*both)
    torch._dynamo.reset()


def test_an_export_has_the_convolution_as_the_paper_has_it(cpu_as_gpu):
    exported = torch.export.export(DepthwiseConv2d(8, 1).eval(), (torch.randn(1, 8, 9, 12),))
    targets = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert not any("maxvit_mm" in target for target in targets)
    assert any("conv" in target for target in targets)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_under_autocast_it_computes_in_that_precision(cpu_as_gpu, precision):
    layer, x = DepthwiseConv2d(8, 1), torch.randn(2, 8, 9, 12, requires_grad=True)
    with torch.autocast("cpu", precision):
        out = layer(x)
        with plain(layer):
            expected = layer(x)
    assert out.dtype == expected.dtype == precision
    torch.testing.assert_close(out, expected, rtol=1e-2, atol=1e-2)
    out.float().square().sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == torch.float32
