"""The network runs alone, and can be taken elsewhere."""

import subprocess
import sys

import pytest
import torch
from conftest import ROOT, SMALL, randomise

from maxvit_mm.network import Trunk, find_variant, set_implementation
from maxvit_mm.network.twins import listening, plain

SIZES = [(64, 64), (97, 75)]

ALONE = f"""
import sys
sys.path.insert(0, {str(ROOT / "maxvit_mm")!r})
import network, torch
trunk = network.Trunk(network.find_variant("pico")).eval()
with torch.no_grad():
    print([list(each.shape) for each in trunk(torch.zeros(1, 3, 64, 96))])
others = {{"mmengine", "mmcv", "mmdet", "maxvit_mm"}} & sys.modules.keys()
print(network.implementations(), sorted(others))
"""


def test_it_runs_alone():
    said = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True).stdout
    shapes = "[[1, 32, 16, 24], [1, 64, 8, 12], [1, 128, 4, 6], [1, 256, 2, 3]]"
    assert said.splitlines() == [shapes, "['auto', 'plain'] []"]


def a_trunk(size):
    network, images = randomise(Trunk(find_variant(SMALL))).eval(), torch.randn(1, 3, *size)
    with torch.no_grad(), plain(network):
        return network, images, network(images)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # sizes are constants in a trace
@pytest.mark.parametrize("how", ["export", "trace"])
def test_what_is_exported_is_the_network_as_it_is_written(how, size):
    network, images, expected = a_trunk(size)
    chosen = []
    with torch.no_grad(), listening(chosen.append):
        if how == "export":
            program = torch.export.export(network, (images,))
            assert "maxvit_mm" not in str(program.graph)  # no operator of ours
            taken = program.module()
        else:
            taken = torch.jit.trace(network, images, check_trace=False)
        assert {choice.runs for choice in chosen} == ({"plain"} if how == "trace" else set())
        for found, wanted in zip(taken(images), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_asking_for_a_twin_by_name_does_not_keep_it_from_being_exported(size):
    network, images, expected = a_trunk(size)
    set_implementation(network, "cpu")
    with torch.no_grad():
        found = torch.export.export(network, (images,)).module()(images)
    for one, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-5, atol=1e-5)
