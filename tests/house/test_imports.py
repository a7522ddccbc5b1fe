"""The README's drawing of the house, generated from the imports, and the imports held to the design."""

import ast
import importlib
import sys
from graphlib import CycleError, TopologicalSorter

import pytest
from conftest import ROOT
from rooms import (
    DOOR,
    LEAVES,
    PACKAGE,
    ROOMS,
    columns,
    drawing,
    house,
    imports_of,
    room_of,
    sources,
    trespasses,
)

from maxvit_mm import moved

MODULES = sorted(sources().values())


def of(path):
    return imports_of(path.read_text(), path.relative_to(PACKAGE).parent.parts)


def test_the_readmes_drawing_is_that_of_the_imports():
    assert f"```\n{drawing(house())}\n```" in (ROOT / "README.md").read_text()


def test_every_folder_of_the_package_is_a_room_of_the_drawing():
    assert {room_of(module) for module in sources()} <= {*ROOMS, *LEAVES, DOOR}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_those_before_it(path):
    package = path.relative_to(PACKAGE).parent.parts
    room = path.relative_to(PACKAGE).with_suffix("").parts[0].replace("__init__", DOOR)
    assert trespasses(room, path.read_text(), package) == set()
    assert DOOR not in of(path).foreign  # within the house, imports are relative


@pytest.mark.parametrize("path", sorted((ROOT / "tools").glob("*.py")), ids=lambda path: path.stem)
def test_a_tool_imports_its_command_and_nothing_else_of_ours(path):
    assert {room_of(module) for module in imports_of(path.read_text(), ()).ours} <= {"commands"}


@pytest.mark.parametrize(
    ("room", "source", "found"),
    [
        ("weights", "from ..network import Trunk\nfrom ..version import __version__", set()),
        ("weights", "from ..openmmlab.backbone import MaxViT", {"openmmlab"}),
        ("network", "def f():\n    from ..fast import cpu", {"fast"}),  # a late import is one too
        ("network", "from .. import weights, version", {"weights"}),
        ("measure", "from ..inference.images import Images", {"inference"}),  # side by side
        ("data", "from .. import MaxViT", {DOOR}),
        ("openmmlab", "import maxvit_mm.commands.train", {"commands"}),
        (DOOR, "from .openmmlab import hooks\nfrom .inference import images", {"inference"}),
    ],
)
def test_an_import_of_a_room_that_stands_behind_is_found(room, source, found):
    assert trespasses(room, source, () if room == DOOR else (room,)) == found


def test_the_drawing_follows_the_imports():
    imports = {"a": (), "b": ("a",), "c": ("a",), "long": (), "d": ("b", "c", "long"), "e": ("d",)}
    assert drawing(imports).splitlines() == [
        "    +-> b ----+",
        "a --+-> c ----+-> d -> e",
        "    +-> long -+",
    ]
    imports["b"] = ("c",)  # b goes behind c
    assert columns(imports) == [["a"], ["c"], ["b", "long"], ["d"], ["e"]]
    with pytest.raises(CycleError):
        drawing({**imports, "a": ("e",)})


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: of(path).ours - {module} for module, path in sources().items()}
    TopologicalSorter(graph).prepare()


def test_the_room_of_weights_has_one_door():
    for module, path in sources().items():
        if room_of(module) != "weights":
            assert all(len(target) == 1 for target in of(path).ours if room_of(target) == "weights"), path


def test_the_network_is_torch_and_einops_and_the_standard_library():
    foreign = set.union(*(of(path).foreign for path in (PACKAGE / "network").rglob("*.py")))
    assert foreign - sys.stdlib_module_names == {"torch", "einops"}


def test_a_room_is_small_enough_to_see_across():
    assert [str(path) for path in MODULES if len(path.read_text().splitlines()) > 250] == []


def test_every_module_says_in_its_first_line_what_may_be_in_it():
    assert [str(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))] == []


@pytest.mark.parametrize("old", moved.MOVED)
def test_a_module_is_found_under_its_old_name_and_is_the_same(old):
    with pytest.warns(DeprecationWarning, match="is maxvit_mm.* now"):
        found = import_anew(old)
    new = importlib.import_module(f"maxvit_mm.{moved.MOVED[old]}")
    names = [name for name in vars(new) if not name.startswith("_")]
    assert all(getattr(found, name) is getattr(new, name) for name in names)


def import_anew(old):
    sys.modules.pop(f"maxvit_mm.{old}", None)
    return importlib.import_module(f"maxvit_mm.{old}")


def test_nothing_is_found_twice_inside_a_package_that_moved():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("maxvit_mm.datasets.scenes")
