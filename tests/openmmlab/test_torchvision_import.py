"""torchvision beside any torch: sound, without its ops, broken otherwise, absent."""

import importlib
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from maxvit_mm.openmmlab import torchvision_import
from maxvit_mm.openmmlab.mmcv_ops import torchvision_ops

# As torchvision's own: it loads its library, and describes an operator of it to torch.
EXTENSION = """
import torch
try:
    torch.ops.load_library("_C.so")
    _has_ops = lambda: True
except OSError:
    _has_ops = lambda: False
if _has_ops():
    {}
"""
DESCRIBES = "import torch\n@torch.library.register_fake('torchvision::of_a_test')\ndef describe(): ..."


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a torchvision, which is then the one that Python finds."""
    theirs = [name for name in sys.modules if name.partition(".")[0] == "torchvision"]
    for name in theirs:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)

    def make(loads=True, then="pass", **modules):
        loaded = []

        def load(path):
            loaded.append(path)
            if not loads:
                raise OSError(f"{path}: undefined symbol")

        monkeypatch.setattr(torch.ops, "load_library", load)
        modules = {"extension": EXTENSION.format(then), **modules}
        folder = tmp_path / "torchvision"
        folder.mkdir()
        (folder / "__init__.py").write_text("\n".join(f"from . import {name}" for name in modules))
        for name, code in modules.items():
            (folder / f"{name}.py").write_text(code)
        return loaded

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


def test_a_sound_torchvision_is_imported_as_ever(package):
    loaded = package()
    assert torchvision_ops.work()
    assert loaded == ["_C.so"]


def test_one_whose_ops_do_not_load_is_imported_without_them(package):
    before = torch.library.register_fake
    package(loads=False, operators=DESCRIBES, transforms="resize = len")
    assert importlib.import_module("torchvision").transforms.resize is len
    assert importlib.import_module("torchvision.transforms").resize is len
    assert not torchvision_ops.work()
    assert torch.library.register_fake is before  # of others it is told again


def test_ops_for_another_cuda_are_not_used_though_they_load(package):
    mismatch = "raise RuntimeError('torch and torchvision were compiled with different CUDA versions')"
    loaded = package(then=mismatch)
    assert not torchvision_ops.work()
    assert loaded == ["_C.so"]
    torch.ops.load_library("of_others.so")  # which load again
    assert loaded == ["_C.so", "of_others.so"]


def test_no_other_failure_is_passed_over(package):
    package(broken="raise RuntimeError('disk on fire')")
    with pytest.raises(RuntimeError, match="disk on fire"):
        torchvision_ops.work()


def test_a_module_that_torchvision_lacks_is_an_error_and_torchvision_absent_is_none(package, monkeypatch):
    package(broken="import of_no_such_name")
    with pytest.raises(ModuleNotFoundError, match="of_no_such_name"):
        torchvision_ops.work()
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert not torchvision_ops.work()


def test_one_guard_is_enough():
    before = list(sys.meta_path)
    torchvision_import.guard()
    assert sys.meta_path == before


FRESH = """
import maxvit_mm, sys
from mmengine.utils.dl_utils import collect_env
print("TorchVision" in collect_env())
from maxvit_mm.openmmlab.mmcv_ops import torchvision_ops
import torch
torchvision_ops.work() and torch.ops.torchvision.nms(torch.eye(4), torch.ones(4), 0.5)
"""


def test_the_report_of_the_environment_names_the_torchvision_that_is_here():
    """In a process of its own: the real one, sound or not, or none."""
    child = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines()[-1] == str(find_spec("torchvision") is not None)
