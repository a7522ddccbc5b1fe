"""Partition attention in Triton against float64: every kernel, both ways, on a GPU or in the interpreter."""

import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from conftest import randomise
from torch._dynamo.testing import CompileCounterWithBackend

from maxvit_mm.fast.gpu import reasons
from maxvit_mm.fast.gpu.attention import attend, partition_attention
from maxvit_mm.fast.gpu.tiles import is_small
from maxvit_mm.network.attention import PartitionAttention, attention
from maxvit_mm.network.partition import Block, Grid, over_groups
from maxvit_mm.network.twins import TWINS, TwinError, choose, listening, why_not

KINDS = pytest.mark.parametrize("kind", [Block, Grid])
LIMITS = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def given(b, height, width, heads, size, dtype=torch.float32, device="cpu"):
    """A map of queries, keys and values, a table, and the gradient of what comes out."""
    qkv = torch.randn(b, height, width, 96 * heads).to(device, dtype)
    table = torch.randn(heads, 2 * size[0] - 1, 2 * size[1] - 1).to(device)
    return qkv, table, torch.randn(b, height, width, 32 * heads).to(device, dtype)


def both_ways(run, qkv, table, gradient):
    """What comes out, and the gradients of the map and the table."""
    leaves = qkv.detach().requires_grad_(), table.detach().requires_grad_()
    out = run(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, gradient)]


def by_kernels(kind, size):
    return lambda qkv, table: partition_attention(qkv, table, kind is Grid, size)[0]


def as_written(kind, size):
    return lambda qkv, table: over_groups(partial(attention, table), qkv, kind, size)


def assert_right(kind, size, qkv, table, gradient, limit=None):
    found = both_ways(by_kernels(kind, size), qkv, table, gradient)
    expected = both_ways(as_written(kind, size), *(each.double().cpu() for each in (qkv, table, gradient)))
    for one, other, precision in zip(found, expected, (qkv.dtype, qkv.dtype, torch.float32), strict=True):
        assert one.dtype == precision
        bound = (limit or LIMITS[qkv.dtype]) * other.abs().max() + 1e-6  # one token has no gradient of a bias
        assert (one.double().cpu() - other).abs().max() <= bound


# Height, width, heads and partition: one that divides the map, one that leaves groups of four sizes, a map
# that is smaller, a token, a row; partitions of other shapes.
IN_A_TILE = [
    *((14, 7, 2, (7, 7)), (9, 13, 1, (7, 7)), (5, 4, 1, (7, 7)), (1, 1, 1, (7, 7)), (1, 15, 2, (7, 7))),
    *((8, 8, 1, (8, 8)), (4, 11, 3, (3, 5)), (3, 2, 1, (1, 1)), (6, 5, 1, (1, 64))),
]
# Of more than one box of lanes, down, across, or both; the last with more columns than a box.
IN_LOOPS = [
    (9, 8, 2, (9, 8)),
    (13, 11, 1, (9, 8)),
    (1, 30, 1, (12, 9)),
    (5, 3, 1, (20, 5)),
    (4, 45, 1, (2, 40)),
]


@KINDS
@pytest.mark.parametrize(("height", "width", "heads", "size"), [*IN_A_TILE, *IN_LOOPS])
def test_attention_and_every_gradient_equal_float64s(
    of_kernels, full_of_nan, kind, height, width, heads, size
):
    b = 2 if is_small(*size) else 1
    assert_right(kind, size, *given(b, height, width, heads, size, device=of_kernels))


def test_both_kinds_of_kernel_are_tested():
    assert all(is_small(*case[3]) for case in IN_A_TILE)
    assert not any(is_small(*case[3]) for case in IN_LOOPS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [(7, 7), (9, 8)])
def test_in_16_bits_too(of_kernels, full_of_nan, size, dtype):
    if of_kernels.type == "cpu" and dtype == torch.bfloat16:
        pytest.skip("Triton's interpreter takes the bits of bfloat16 for numbers in a product")
    assert_right(Grid, size, *given(1, 10, 11, 1, size, dtype, of_kernels))


@pytest.mark.parametrize("size", [(7, 7), (9, 8)])
def test_maps_of_any_strides_and_offset_are_taken(of_kernels, full_of_nan, size):
    qkv, table, gradient = given(1, 9, 10, 1, size, device=of_kernels)
    wide = torch.full((1, 10, 9, 2 * 96 + 1), float("nan"), device=of_kernels)
    wide[..., 1::2] = qkv.transpose(1, 2)
    strided, same = wide[..., 1::2].transpose(1, 2), gradient[:, :, :1].expand_as(gradient)
    assert not strided.is_contiguous()
    assert strided.storage_offset() == 1
    table = torch.cat([table.new_ones(1), table.transpose(1, 2).flatten()])[1:]
    table = table.view(1, 2 * size[1] - 1, -1).transpose(1, 2)
    assert_right(Block, size, strided, table, same)


@pytest.mark.parametrize("size", [(7, 7), (9, 8)])
def test_two_runs_are_equal_to_the_last_bit(of_kernels, size):
    inputs = given(1, 4, 9, 1, size, device=of_kernels)
    runs = [both_ways(by_kernels(Grid, size), *inputs) for _ in range(2)]
    for one, other in zip(*runs, strict=True):
        assert one.equal(other)


def test_places_beyond_2_to_the_31_are_counted_in_64_bits(of_kernels):
    from far_tokens import place  # which imports Triton

    found = torch.zeros(1, dtype=torch.int64, device=of_kernels)
    image, height, width = 3000, 1400, 2100
    place[(1,)](found, (image + 1) * 200 * 300 - 1, 200, 300, height, width, 7)
    assert found.item() == (image + 1) * height * width - 1 > 2**31


@pytest.mark.parametrize("size", [(7, 7), (9, 8)])
def test_large_logits_do_not_overflow(of_kernels, full_of_nan, size):
    """Of exp, that is, in fp32; their own rounding grows with them."""
    qkv, table, gradient = given(1, 9, 8, 1, size, device=of_kernels)
    assert table.max() > 2
    assert_right(Block, size, qkv, 60 * table, gradient, limit=3e-5)


@pytest.mark.parametrize("size", [(7, 7), (9, 8)])
def test_of_no_images_nothing_comes_out_and_the_table_has_no_gradient(of_kernels, size):
    out, of_qkv, of_table = both_ways(by_kernels(Block, size), *given(0, 9, 10, 1, size, device=of_kernels))
    assert (out.shape, of_qkv.shape) == ((0, 9, 10, 32), (0, 9, 10, 96))
    assert not of_table.any()


def test_a_table_that_is_not_trained_gets_no_gradient(of_kernels):
    qkv, table, gradient = given(1, 7, 7, 1, (7, 7), device=of_kernels)
    expected = both_ways(by_kernels(Block, (7, 7)), qkv, table, gradient)[1]
    qkv.requires_grad_()
    partition_attention(qkv, table, False, (7, 7))[0].backward(gradient)
    assert qkv.grad.equal(expected)
    assert table.grad is None


@pytest.mark.parametrize("size", [(7, 7), (9, 8)])
def test_compilers_take_it_as_one_operator_both_ways_for_maps_of_all_sizes(of_kernels, size):
    torch._dynamo.reset()
    layer = randomise(PartitionAttention(32, Grid, 7)).to(of_kernels)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda x: attend(layer, x, size), backend=counter, fullgraph=True, dynamic=True)
    for height, width in ((5, 6), (7, 4)):
        x = torch.randn(1, height, width, 96, device=of_kernels)
        both = []
        for run in (compiled, lambda x: attend(layer, x, size)):
            layer.zero_grad()
            leaf = x.clone().requires_grad_()
            out = run(leaf)
            out.square().sum().backward()
            both.append((out, leaf.grad, layer.relative_position_bias_table.grad.clone()))
        torch.testing.assert_close(*both)
    assert counter.frame_count == 1
    torch._dynamo.reset()


@pytest.fixture
def of_gpu(of_kernels, monkeypatch):
    """The row of the kernel, which is taken for one that runs here."""
    (row,) = (row for row in TWINS["PartitionAttention.attend"] if row.run is attend)
    row = row._replace(devices=(of_kernels.type,))
    monkeypatch.setitem(TWINS, "PartitionAttention.attend", [row, *TWINS["PartitionAttention.attend"]])
    return row


def test_a_layer_takes_it_with_a_hook_and_an_adapter_around_it(of_gpu, of_kernels):
    layer = randomise(PartitionAttention(64, Block, 7)).to(of_kernels)
    layer.qkv.register_forward_hook(lambda module, inputs, output: 2 * output)
    x = torch.randn(1, 8, 7, 64, device=of_kernels)
    assert choose("PartitionAttention.attend", layer, layer.qkv(x), (7, 7)) is of_gpu
    expected = layer.out(PartitionAttention.attend.plain(layer, layer.qkv(x), (7, 7)))
    torch.testing.assert_close(layer(x, (7, 7)), expected)


REFUSALS = {
    "does not compute in torch.float64": (64, torch.float64),
    "is for heads of 32 channels": (48, torch.float32),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_it_says_what_it_is_not_for(of_gpu, of_kernels, reason):
    width, dtype = REFUSALS[reason]
    layer = PartitionAttention(width, Block, 7).to(of_kernels, dtype)
    qkv = layer.qkv(torch.randn(1, 8, 7, width, device=of_kernels, dtype=dtype))
    assert reason in why_not(of_gpu, layer, qkv, (7, 7))


def test_it_says_which_machines_it_is_not_for(monkeypatch):
    of_device = reasons.of_device.__wrapped__
    monkeypatch.setattr(reasons, "find_spec", lambda name: None)
    assert "needs Triton, which is not installed" in of_device("cuda", 0)
    monkeypatch.setattr(reasons, "find_spec", lambda name: name)
    monkeypatch.setattr(reasons, "import_module", lambda name: SimpleNamespace(__version__="3.5.1"))
    assert of_device("cuda", 0) == "its kernel needs Triton 3.6 or later, this is 3.5.1"
    monkeypatch.setattr(reasons, "import_module", lambda name: SimpleNamespace(__version__="3.10.0"))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert of_device("cpu", None) == "its kernel is for GPUs"
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7, 5))
    assert "compute capability 8.0 or later, this is of 7.5" in of_device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    assert of_device("cuda", 0) is None
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert "for NVIDIA's GPUs" in of_device("cuda", 0)


def test_no_map_on_a_cpu_goes_there():
    layer = PartitionAttention(32, Block, 7)
    qkv = torch.randn(1, 7, 7, 96)
    chosen = []
    with listening(chosen.append):
        layer.attend(qkv, (7, 7))
    assert {choice.runs for choice in chosen} <= {"cpu", "plain"}
    layer.implementation = "cuda"
    with pytest.raises(TwinError, match="it is for cuda, the map is on cpu"):
        choose("PartitionAttention.attend", layer, qkv, (7, 7))


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("words", ["allow_tf32 = {}", "fp32_precision = {!r}"])
def test_products_are_as_exact_as_the_user_asked_in_old_words_and_new(of_kernels, words, on):
    """In a process of its own: once the new word was set, PyTorch raises where the old one is read."""
    if "precision" in words and not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this torch has the old word only")
    value = on if "allow" in words else ("tf32" if on else "ieee")
    program = f"""
import torch
torch.backends.cuda.matmul.{words.format(value)}
from maxvit_mm.fast.gpu.launch.attention import takes_tf32
assert takes_tf32() is {on}
"""
    subprocess.run([sys.executable, "-c", program], check=True)
