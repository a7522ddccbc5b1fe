"""A whole network by the rows of a GPU: what kernels in Triton compute, beside what runs between them."""

import copy
import os
from collections import Counter
from shutil import which

import pytest
import torch
from conftest import randomise
from reads import no_reads
from torch._dynamo import lookup_backend

from maxvit_mm.fast import report
from maxvit_mm.network import Trunk, deploy, find_variant
from maxvit_mm.network.same_conv import PointwiseConv2d
from maxvit_mm.network.trunk import MaxViTBlock
from maxvit_mm.network.twins import TWINS, TwinError, listening, plain, set_implementation

pytestmark = pytest.mark.usefixtures("in_full_fp32")
TINY = {"stem_width": 32, "widths": (32,) * 4, "depths": (1, 1, 1, 1)}


@pytest.fixture
def by_gpus_rows(of_kernels, monkeypatch):
    """Takes a CPU for a GPU, where there is none."""
    for seam, rows in TWINS.items():
        of_gpu = [row._replace(devices=(of_kernels.type,)) for row in rows if row.name == "cuda"]
        monkeypatch.setitem(TWINS, seam, of_gpu)
    return of_kernels


def trunk(**options):
    return randomise(Trunk(find_variant(TINY), stages=1, **options))


def of_runs(run):
    """What `run` returns, and how often each method ran by a row of a GPU."""
    chosen = []
    with listening(chosen.append):
        out = run()
    return out, Counter(choice.seam for choice in chosen if choice.runs == "cuda")


def hook(network):
    """Have a block call its layers, of which each is asked how it runs."""
    network.stages[0][0].grid_attention.attention.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize("is_hooked", [False, True])
@pytest.mark.parametrize("is_deployed", [False, True])
def test_inference_equals_the_plain_networks(by_gpus_rows, is_deployed, is_hooked):
    network, images = trunk().eval().to(by_gpus_rows), torch.randn(1, 3, 33, 46, device=by_gpus_rows)
    if is_deployed:
        deploy(network)
    if is_hooked:
        hook(network)
    with torch.no_grad():
        (found,), runs = of_runs(lambda: network(images))
        with plain(network):
            (expected,) = network(images)
    assert runs["MaxViTBlock.forward"] == 1
    assert runs["PartitionAttention.attend"] == 2 * runs["MBConv.narrow"] == 2 * is_hooked
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("checkpointing", "is_hooked"), [(False, False), (True, False), (False, True)])
def test_a_training_step_equals_the_plain_networks(by_gpus_rows, checkpointing, is_hooked):
    network = trunk(checkpointing=checkpointing, partition_size="scaled").train().to(by_gpus_rows)
    if is_hooked:
        hook(network)
    other, images = copy.deepcopy(network), torch.randn(1, 3, 33, 46, device=by_gpus_rows)
    _, runs = of_runs(lambda: network(images)[0].square().mean().backward())
    assert runs["MaxViTBlock.forward"] == 1 + checkpointing
    assert runs["PartitionAttention.forward"] == 2 * runs["MBConv.branch"] == 2 * is_hooked
    with plain(other):
        other(images)[0].square().mean().backward()
    for (name, one), wanted in zip(network.named_parameters(), other.parameters(), strict=True):
        if not name.endswith(("pre_norm.bias", "conv1.bias")):  # nothing but rounding
            assert (one.grad - wanted.grad).abs().max() <= 1e-3 * wanted.grad.abs().max(), name


def test_a_norm_that_was_put_in_since_the_block_was_deployed_is_not_left_out(by_gpus_rows):
    block = deploy(randomise(MaxViTBlock(32, 32, 1, 7, 0.0)).eval())
    block.mbconv.pre_norm = randomise(torch.nn.BatchNorm2d(32)).eval()
    block, x = block.to(by_gpus_rows), torch.randn(1, 32, 4, 5, device=by_gpus_rows)
    with torch.no_grad():
        found, runs = of_runs(lambda: block(x, (7, 7)))
        with plain(block):
            torch.testing.assert_close(found, block(x, (7, 7)), rtol=1e-4, atol=1e-4)
    assert runs["MaxViTBlock.forward"] == 1


def test_a_1x1_convolution_takes_maps_of_any_layout_and_leaves_what_is_no_batch(by_gpus_rows):
    layer = randomise(PointwiseConv2d(8, 5, 1)).to(by_gpus_rows)
    x = torch.randn(2, 8, 3, 4, device=by_gpus_rows)
    for each, runs in ((x, 1), (x.transpose(2, 3), 1), (x[0], 0)):
        found, counted = of_runs(lambda x=each: layer(x))
        assert counted["PointwiseConv2d.forward"] == runs
        torch.testing.assert_close(found, PointwiseConv2d.forward.plain(layer, each), rtol=1e-5, atol=1e-5)


def test_autocast_of_a_step_stays_near_fp32s(by_gpus_rows):
    network, images = trunk().train().to(by_gpus_rows), torch.randn(2, 3, 32, 40, device=by_gpus_rows)
    with torch.autocast(by_gpus_rows.type, torch.float16):
        network(images)[0].float().square().mean().backward()
    found = network.stages[0][0].grid_attention.attention.relative_position_bias_table.grad.clone()
    network.zero_grad()
    network(images)[0].square().mean().backward()
    expected = network.stages[0][0].grid_attention.attention.relative_position_bias_table.grad
    assert found.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.99


def test_a_report_says_why_a_kernel_does_not_run_and_what_does(by_gpus_rows, monkeypatch):
    network, images = trunk().eval().to(by_gpus_rows), torch.randn(1, 3, 32, 32, device=by_gpus_rows)
    why = "its kernel needs Triton, which is not installed (pip install triton)"
    monkeypatch.setattr("maxvit_mm.fast.gpu.reasons.of_device", lambda *_: why)
    with torch.no_grad():
        rows = {row.seam: row for row in report(network, images)}
        assert rows["PartitionAttention.attend"].runs == "cuda"  # that without a kernel
        assert rows["PartitionAttention.attend"].why_not == (("cuda", why),)
        assert rows["MBConv.narrow"].runs == "plain"
        set_implementation(network, "cuda")
        with pytest.raises(TwinError, match=r"cannot run MaxViTBlock\.forward: its kernel needs Triton"):
            network(images)


@pytest.fixture
def graphs():
    """The operators of ours in each graph that a compiler is given, and the backend that notes them."""
    torch._dynamo.reset()
    found = []

    def backend(module, inputs):
        ours = [str(node.target) for node in module.graph.nodes if "maxvit_mm" in str(node.target)]
        found.append(sorted(name.split(".")[1] for name in ours))
        return lookup_backend("aot_eager")(module, inputs)

    yield found, backend
    torch._dynamo.reset()


def test_compilers_take_a_block_with_its_kernels_as_one_graph_for_maps_of_all_sizes(by_gpus_rows, graphs):
    found, backend = graphs
    block = randomise(MaxViTBlock(32, 32, 2, 7, 0.0)).eval().to(by_gpus_rows)
    compiled, of_first = torch.compile(block, backend=backend, fullgraph=True, dynamic=True), None
    with torch.no_grad():
        for size in ((2, 5, 6), (3, 4, 8)):
            x = torch.randn(size[0], 32, *size[1:], device=by_gpus_rows)
            torch.testing.assert_close(compiled(x, (7, 7)), block(x, (7, 7)))
            of_first = of_first or len(
                found
            )  # PyTorch may start again with numbers that it takes for constants
    assert len(found) == of_first
    assert found[-1] == ["gate", "norm_gelu_depthwise", *["partition_attention"] * 2, *["sum_and_norm"] * 4]


def step(run, block, x):
    """What comes out, all gradients and all statistics; branches are dropped as the seed has it."""
    torch.manual_seed(3)
    leaf = x.detach().clone().requires_grad_()
    out = run(leaf, (7, 7))
    (out * torch.linspace(-1, 1, out.numel()).to(out).view(out.shape)).sum().backward()
    gradients = {name: parameter.grad for name, parameter in block.named_parameters()}
    return {"out": out.detach(), "x": leaf.grad, **gradients, **dict(block.named_buffers())}


@pytest.mark.parametrize("frozen", [False, True], ids=["statistics of the batch", "frozen statistics"])
def test_compilers_take_a_step_with_its_kernels_as_one_graph_for_maps_of_all_sizes(
    by_gpus_rows, graphs, frozen
):
    found, backend = graphs
    block = randomise(MaxViTBlock(32, 32, 1, 7, 0.5)).train().to(by_gpus_rows)
    for norm in (block.mbconv.norm1, block.mbconv.norm2):
        norm.train(not frozen)
    other = copy.deepcopy(block)
    compiled, of_first = torch.compile(other, backend=backend, fullgraph=True, dynamic=True), None
    for size in ((2, 4, 3), (3, 5, 2)):
        x = torch.randn(size[0], 32, *size[1:], device=by_gpus_rows)
        expected = step(block, block, x)
        for name, one in step(compiled, other, x).items():
            torch.testing.assert_close(one, expected[name], rtol=1e-4, atol=1e-4, msg=name)
        block.zero_grad()
        other.zero_grad()
        of_first = of_first or len(found)
    assert len(found) == of_first
    ours = (
        *["attention"] * 2,
        "branch",
        *["ffn"] * 2,
        *["sum_and_norm"] * 4,
        "sum_with_dropped",
    )
    assert found[-1] == list(ours)


@pytest.mark.skipif(not (os.environ.get("CXX") or which("g++") or which("clang++")), reason="no C++ compiler")
def test_a_step_that_inductor_compiled_around_the_kernels_equals_the_eager_one(by_gpus_rows):
    """At a size of which a pool cuts the last row off."""
    torch._dynamo.reset()
    block, x = randomise(MaxViTBlock(32, 32, 2, 7, 0.0)).train(), torch.randn(2, 32, 5, 6)
    block, x = block.to(by_gpus_rows), x.to(by_gpus_rows)
    other = copy.deepcopy(block)
    expected = step(block, block, x)
    found = step(torch.compile(other, fullgraph=True, dynamic=False), other, x)
    torch._dynamo.reset()
    for name, one in found.items():
        torch.testing.assert_close(one, expected[name], rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("partition_size", [7, "scaled"])
@pytest.mark.parametrize("training", [False, True])
def test_what_starts_the_kernels_neither_reads_a_value_nor_sends_one(by_gpus_rows, training, partition_size):
    """So that no GPU waits, and a CUDA graph can hold it."""
    from maxvit_mm.fast.gpu.launch.device import not_run  # which imports Triton

    network = trunk(partition_size=partition_size, drop_path_rate=0.3).train(training).to(by_gpus_rows)
    images = torch.randn(2, 3, 65, 97, device=by_gpus_rows)
    with not_run(lambda *_: None), no_reads(), torch.set_grad_enabled(training):
        (out,) = network(images)
        if training:
            out.square().mean().backward()
