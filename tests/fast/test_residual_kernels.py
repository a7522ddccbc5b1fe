"""Residual sums with the norm behind them, in Triton, against float64: on a GPU or in the interpreter."""

import copy

import pytest
import torch
from conftest import randomise
from torch import nn

from maxvit_mm.fast.gpu import block
from maxvit_mm.network.attention import AttentionAndFFN
from maxvit_mm.network.partition import Block
from maxvit_mm.network.stochastic_depth import StochasticDepth
from maxvit_mm.network.trunk import MaxViTBlock
from maxvit_mm.network.twins import TWINS, set_implementation, why_not

LIMITS = {torch.float32: 1e-6, torch.float16: 3e-3, torch.bfloat16: 2e-2}
(ROW,) = (row for row in TWINS["MaxViTBlock.forward"] if row.run is block.block)
# A batch, its maps and channels: of powers of two and not, a single row, a token, more channels than places.
SIZES = [(2, 3, 5, 32), (3, 1, 7, 24), (1, 1, 1, 96), (5, 1, 1, 64), (1, 4, 4, 1)]


def given(*size, device, dtype=torch.float32, rate=0.0):
    """Both summands, a stochastic depth, a norm, and the gradients of the sum and of its norm."""
    norm = randomise(nn.LayerNorm(size[-1], eps=1e-5)).to(device)
    x, branch = (2 + torch.randn(size).to(device, dtype) for _ in range(2))
    return x, branch, StochasticDepth(rate).train(), norm, [torch.randn(size).to(x) for _ in range(2)]


def both_ways(run, x, branch, drop, norm, gradients):
    """What comes out and all gradients; images are dropped as the seed has it."""
    torch.manual_seed(3)
    x, branch, norm = x.detach().requires_grad_(), branch.detach().requires_grad_(), copy.deepcopy(norm)
    outs = run(x, branch, drop, norm)
    torch.autograd.backward(outs, [g.to(out) for g, out in zip(gradients[: len(outs)], outs, strict=True)])
    weights = [] if norm.weight.grad is None else [norm.weight.grad, norm.bias.grad]
    return [*(out.detach() for out in outs), x.grad, branch.grad, *weights]


def as_written(x, branch, drop, norm):
    x = x + drop(branch)
    return x, norm(x)


def assert_right(x, branch, drop, norm, gradients, run=block.add_and_norm, truth=as_written):
    found = both_ways(run, x, branch, drop, norm, gradients)
    in_full = [each.double().cpu() for each in (x, branch)]
    wide = [each.double().cpu() for each in gradients]
    expected = both_ways(truth, *in_full, drop, copy.deepcopy(norm).double().cpu(), wide)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        distance = (one.double().cpu() - other).abs().max()
        assert (
            distance
            <= LIMITS[min(x.dtype, branch.dtype, key=lambda d: d.itemsize)] * other.abs().max() + 1e-6
        )


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("size", SIZES)
def test_a_sum_and_its_norm_and_every_gradient_equal_float64s(of_kernels, full_of_nan, size, rate):
    assert_right(*given(*size, device=of_kernels, rate=rate))


def test_the_seed_of_these_tests_keeps_some_branches_and_drops_others():
    torch.manual_seed(3)
    keep, factor = block.left_by(StochasticDepth(0.4).train(), torch.empty(5, 1))
    assert 0 < keep.sum() < 5
    assert factor == pytest.approx(1 / 0.6)


@pytest.mark.parametrize("size", SIZES[:3])
def test_programs_of_many_tokens_and_several_programs_meet(of_kernels, full_of_nan, monkeypatch, size):
    monkeypatch.setattr("maxvit_mm.fast.gpu.launch.residual.TILE", 64)
    monkeypatch.setattr("maxvit_mm.fast.gpu.launch.residual.BACK_AN_SM", 1)
    assert_right(*given(*size, device=of_kernels, rate=0.4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_in_16_bits_it_is_computed_in_fp32_inside(of_kernels, full_of_nan, dtype):
    x, branch, drop, norm, gradients = given(2, 3, 5, 32, device=of_kernels, dtype=dtype, rate=0.4)
    assert_right(x, branch, drop, norm.to(dtype), gradients)
    with torch.no_grad():
        total, out = block.add_and_norm(x, branch, drop, norm)
    assert total.dtype == out.dtype == dtype


def test_a_sum_is_as_precise_as_its_more_precise_part_and_its_norm_as_autocast_has_products(of_kernels):
    x, branch, drop, norm, gradients = given(2, 3, 5, 32, device=of_kernels, rate=0.4)
    assert_right(x, branch.half(), drop, norm, gradients)
    with torch.autocast(of_kernels.type, torch.float16):
        total, out = block.add_and_norm(x, branch.half(), drop, norm)
    assert (total.dtype, out.dtype) == (torch.float32, torch.float16)


def test_maps_and_gradients_of_any_strides_and_offset_are_taken(of_kernels, full_of_nan):
    x, branch, drop, norm, gradients = given(2, 3, 5, 32, device=of_kernels, rate=0.4)
    wide = torch.full((2, 5, 3, 65), float("nan"), device=of_kernels)
    wide[..., 1::2] = x.transpose(1, 2)
    strided = wide[..., 1::2].transpose(1, 2)
    flipped = gradients[0].transpose(1, 2).contiguous().transpose(1, 2)
    assert_right(strided, branch, drop, norm, [flipped, gradients[1][..., :1].expand_as(branch)])


def test_the_last_sum_of_a_block_has_no_norm_behind_it(of_kernels, full_of_nan):
    for rate in (0.0, 0.4):
        x, branch, drop, norm, gradients = given(5, 3, 1, 24, device=of_kernels, rate=rate)
        assert_right(
            *(x, branch, drop, norm, gradients[:1]),
            lambda x, branch, drop, _: [block.add(x, branch, drop)],
            lambda x, branch, drop, _: [x + drop(branch)],
        )


def test_two_runs_are_equal_to_the_last_bit(of_kernels):
    inputs = given(2, 5, 7, 32, device=of_kernels, rate=0.4)
    runs = [both_ways(block.add_and_norm, *inputs) for _ in range(2)]
    assert all(one.equal(other) for one, other in zip(*runs, strict=True))


def test_a_mean_far_from_0_costs_no_digits(of_kernels):
    x, branch, drop, norm, gradients = given(1, 3, 5, 64, device=of_kernels)
    x = (64 * (1000 + torch.randn_like(x))).round() / 64  # sums of such numbers are exact
    branch = (64 * branch).round() / 64
    found = both_ways(block.add_and_norm, x, branch, drop, norm, gradients)[1]
    expected = as_written(x.double(), branch.double(), drop, copy.deepcopy(norm).double())[1]
    assert (found - expected).abs().max() <= 1e-3 * expected.abs().max()


def test_the_norm_is_of_the_sum_as_it_is_rounded_which_the_way_back_normalises_again(of_kernels):
    x, branch, drop, norm, _ = given(2, 3, 5, 64, device=of_kernels)
    with torch.no_grad():
        total, out = block.add_and_norm((1000 + x).half(), branch.half(), drop, norm.half())
        expected = copy.deepcopy(norm).double()(total.double())
    assert (out - expected).abs().max() <= 3e-3 * expected.abs().max()


def test_a_block_drops_the_branches_that_the_plain_network_drops(of_kernels):
    layer = randomise(MaxViTBlock(32, 32, 1, 7, 0.5)).train().to(of_kernels)
    set_implementation(layer, "plain")
    x, found = torch.randn(4, 32, 3, 3, device=of_kernels), []
    for run in (block.block, MaxViTBlock.forward.plain):
        torch.manual_seed(5)
        found.append(run(copy.deepcopy(layer), x, (7, 7)))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def as_hooked(module):
    module.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: as_hooked(b.mbconv), "mbconv has a hook"),
        (lambda b: as_hooked(b.grid_attention), "grid_attention has a hook"),
        (lambda b: as_hooked(b.block_attention.norm2), "block_attention.norm2 has a hook"),
        (lambda b: setattr(b.mbconv, "drop_path", nn.Identity()), "mbconv.drop_path is of class Identity"),
        (
            lambda b: setattr(b.block_attention, "norm1", nn.LayerNorm(32, elementwise_affine=False)),
            "norm1 is no",
        ),
        (lambda b: b.double(), "does not compute in torch.float64"),
        (lambda b: as_hooked(b.mbconv.se), None),
        (lambda b: as_hooked(b.block_attention.attention.qkv), None),
        (lambda b: as_hooked(b.block_attention.ffn), None),
    ],
)
def test_it_steps_aside_where_what_it_leaves_out_was_touched_and_nowhere_else(of_kernels, change, reason):
    layer = MaxViTBlock(32, 32, 1, 7, 0.0).to(of_kernels)
    row = ROW._replace(devices=(of_kernels.type,))
    change(layer)
    x = torch.randn(1, 32, 3, 3, device=of_kernels, dtype=layer.mbconv.expand.weight.dtype)
    found = why_not(row, layer, x, (7, 7))
    assert found is None if reason is None else reason in found


def test_a_half_of_another_class_is_run_as_it_is_written(of_kernels):
    class Half(AttentionAndFFN):
        def forward(self, x, size):
            return 2 * super().forward(x, size)

    layer = MaxViTBlock(32, 32, 1, 7, 0.0).to(of_kernels)
    layer.block_attention = Half(32, Block, 7, 0.0).to(of_kernels)
    x = torch.randn(1, 32, 3, 3, device=of_kernels)
    reason = why_not(ROW._replace(devices=(of_kernels.type,)), layer, x, (7, 7))
    assert reason == "block_attention is of class Half"
