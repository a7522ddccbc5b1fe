"""The README's drawing of the house, enforced: who may import whom, and the network imports nobody."""

import ast
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "maxvit_mm"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if ".mim" not in path.parts)

# Each room and the rooms of ours that it may import; what is not named may import none.
MAY_IMPORT = {
    "network": {"network"},
    "mmcv_ops": {"mmcv_ops"},
    "datasets": {"datasets", "network"},
    "checkpoint": set(),
    "weights_file": {"checkpoint"},
    "loading": {"network", "checkpoint"},
    "weights": {"weights", "weights_file", "network", "checkpoint", "loading", "version"},
    "classifier": {"network", "checkpoint", "loading", "weights_file"},
    "classify": {"classifier", "checkpoint", "loading", "network"},
    "curves": set(),
    "tta": set(),
    "version": set(),
    "backbone": {"network", "checkpoint", "loading", "weights", "weights_file"},
    "hooks": {"curves", "backbone", "checkpoint", "loading"},
    "config_checks": {"datasets", "network"},
    "hardware": set(),
    "launch": {"checkpoint", "config_checks", "datasets", "hardware", "tta"},
    "demo": {"datasets", "launch"},
    "cost": {"network"},
    "peers": {"backbone"},
    "charts": set(),
    "benchmark": {"charts", "cost", "peers"},
    "summary": {"classifier", "cost", "launch", "network"},
    "float_regions": set(),
    "layer_decay": set(),
    "__init__": {"mmcv_ops", "backbone", "float_regions", "hooks", "layer_decay", "version"},
}


# Within the network, whose drawing is the finer one.
BENEATH = {
    *{"checkpointing", "head", "opaque", "packed", "pieces", "relative_bias", "stochastic_depth", "variants"},
}
NETWORK = {
    **{name: set() for name in BENEATH},
    "same_conv": {"variants"},
    "partition": {"pieces"},
    "strips": {"pieces"},
    "fused": {"packed", "pieces"},
    "lean": {"fused", "pieces"},
    "lean_norm": {"lean", "pieces"},
    "lean_attention": {"fused", "lean", "pieces"},
    "lean_mbconv": {"fused", "lean", "lean_norm", "pieces", "strips"},
    "attention": {
        *{"fused", "lean", "lean_attention", "opaque", "partition", "relative_bias", "stochastic_depth"},
        "variants",
    },
    "mbconv": {
        *{"fused", "lean", "lean_mbconv", "pieces", "same_conv", "stochastic_depth", "strips", "variants"},
    },
    "trunk": {
        *{"attention", "checkpointing", "fused", "lean", "lean_mbconv", "mbconv", "opaque", "partition"},
        *{"pieces", "same_conv", "strips", "variants"},
    },
    "deploy": {"attention", "mbconv", "opaque", "packed", "trunk", "variants"},
    "__init__": {"deploy", "head", "trunk", "variants"},
}


def imported(path: Path) -> tuple[set[str], set[str]]:
    """The rooms of ours and the foreign packages that a file imports."""
    ours, foreign = set(), set()
    here = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            foreign |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            foreign.add(node.module.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1]
            target = (*base, *node.module.split(".")) if node.module else base
            ours |= {target[0]} if target else {alias.name for alias in node.names}
    return ours, foreign


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_opens_only_into_the_rooms_of_the_drawing(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    ours, foreign = imported(path)
    assert ours <= MAY_IMPORT[room]
    assert "maxvit_mm" not in foreign  # within the house, imports are relative


@pytest.mark.parametrize("path", (PACKAGE / "network").glob("*.py"), ids=lambda path: path.stem)
def test_within_the_network_arrows_go_one_way(path):
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in nodes if node.level} <= NETWORK[path.stem]


def test_the_network_is_torch_and_einops_and_nothing_of_openmmlab():
    foreign = set.union(*(imported(path)[1] for path in (PACKAGE / "network").glob("*.py")))
    standard = {"__future__", "collections", "contextlib", "functools", "json", "math", "threading", "typing"}
    assert foreign == standard | {"torch", "einops"}


def test_a_room_is_small_enough_to_see_across():
    assert [str(path) for path in MODULES if len(path.read_text().splitlines()) > 250] == []
