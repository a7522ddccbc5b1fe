"""Launches are few: an estimate of them, without a GPU, stays below what the goals are for one."""

import pytest
import torch
import torch.nn.functional as F
from conftest import SMALL

from maxvit_mm.measure.launches import estimated_launches
from maxvit_mm.network import Trunk, deploy, find_variant
from maxvit_mm.network.twins import TWINS

pytest.importorskip("triton", "3.6", reason="kernels need Triton 3.6, which is for Linux")
A_STEP, AN_IMAGE = 1500, 350  # of `measure.goals`, for MaxViT-T


@pytest.fixture(autouse=True)
def without_a_gpu():
    if torch.cuda.is_available():
        pytest.skip("on a GPU launches are counted: tools/benchmark.py --report")


def step_of(network, images):
    def run():
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            maps = network(images)
        sum(each.float().square().mean() for each in maps).backward()

    return run


def forward_of(network, images):
    def run():
        with torch.no_grad():
            network(images)

    return run


def test_operators_are_counted_by_the_kernels_they_start_and_views_are_not():
    x = torch.randn(2, 8)
    found = estimated_launches(lambda: F.layer_norm(x.view(4, 4).t() + x.new_empty(()), (4,)).sum())
    assert found == {"add": 1, "native_layer_norm": 1, "sum": 1}
    leaf = x.clone().requires_grad_()
    found = estimated_launches(lambda: F.layer_norm(leaf, (8,)).sum().backward())
    assert found["native_layer_norm_backward"] == 2


def test_kernels_are_counted_and_not_run_and_the_table_is_as_before():
    before = {seam: list(rows) for seam, rows in TWINS.items()}
    network = Trunk(find_variant(SMALL)).train()
    found = estimated_launches(step_of(network, torch.randn(2, 3, 64, 64)))
    blocks = sum(SMALL["depths"])
    assert found["depthwise.forward"] == found["depthwise_backward.backward"] == blocks
    assert found["few_tokens.forward"] == found["ffn.backward"] == 2 * blocks
    assert found["residual.forward"] == found["residual.backward"] == 4 * blocks  # the last sum is PyTorch's
    assert before == TWINS


def test_a_training_step_of_maxvit_t_launches_no_more_than_its_goal():
    network = Trunk(find_variant("tiny"), drop_path_rate=0.2).train()
    found = estimated_launches(step_of(network, torch.randn(2, 3, 64, 64)))
    assert found["native_layer_norm"] == found["zeros"] == 0
    assert sum(found.values()) <= A_STEP


def test_an_image_by_a_deployed_maxvit_t_launches_no_more_than_its_goal():
    network = deploy(Trunk(find_variant("tiny")).eval()).to(torch.bfloat16)
    found = estimated_launches(forward_of(network, torch.randn(1, 3, 70, 101).to(torch.bfloat16)))
    assert sum(found.values()) <= AN_IMAGE
