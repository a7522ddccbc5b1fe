"""tools/doctor.py as a user runs it, in environments played by folders: each problem and what mends it."""

import ast
import re
import subprocess
import sys

import pytest
from conftest import ROOT

TORCH = """
class cuda:
    def is_available(): return False
class library:
    def register_fake(name): raise RuntimeError(f"operator {name} does not exist")
class ops:
    torchvision = None
"""
OPS = """
def nms(boxes, scores, threshold):
    class Kept:
        def tolist(self): return [0]
    return boxes, Kept()
"""
PIP = f"{re.escape(sys.executable)} -m pip"


class Site:
    """A folder of installed packages; `well` is a set that works together."""

    def __init__(self, folder):
        self.folder = folder

    def add(self, name, version, module=None, code=""):
        info = self.folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        if module:
            (self.folder / module).mkdir(exist_ok=True)
            (self.folder / module / "__init__.py").write_text(code)

    def well(self, *without, mmcv="mmcv-lite"):
        modules = {"opencv-python": "cv2", mmcv: "mmcv"}
        versions = {"opencv-python": "5.0.0.93", "torch": "2.13.0+cpu", "mmengine": "0.10.7", mmcv: "2.1.0"}
        versions.update({"mmdet": "3.3.0", "einops": "0.8.2", "safetensors": "0.8.0", "maxvit_mm": "0.1.0"})
        for name in versions.keys() - set(without):
            code = TORCH if name == "torch" else ""
            self.add(name, versions[name], modules.get(name, name), code)

    def doctor(self, *options):
        """The exit status, and what is said."""
        # Without `site`, the packages of this environment are out of sight.
        child = subprocess.run(
            [sys.executable, "-S", str(ROOT / "tools" / "doctor.py"), *options],
            env={"PYTHONPATH": str(self.folder), "PATH": "/usr/bin:/bin"},
            cwd=self.folder,  # where this Python is not, whose path is shown in full then
            capture_output=True,
            text=True,
        )
        assert child.stderr == ""
        return child.returncode, child.stdout


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


def problems(site, *options):
    status, said = site.doctor(*options)
    found = re.findall(r"^doctor: (.+)", said, re.MULTILINE)
    assert status == (1 if found else 0)
    return found


def test_a_well_environment_is_listed_and_has_no_problem(site):
    site.well()
    status, said = site.doctor()
    assert status == 0
    assert re.findall(r"^  (\S+) +(.*)", said, re.MULTILINE)[1:] == [
        ("torch", "2.13.0+cpu"),
        ("torchvision", "none, and none is needed"),
        ("mmcv", "mmcv-lite 2.1.0 (no compiled ops; maxvit_mm has those that detectors need)"),
        ("mmengine", "0.10.7"),
        ("mmdet", "3.3.0"),
        ("OpenCV", "opencv-python 5.0.0.93"),
        ("GPU", "none"),
    ]


def test_what_is_missing_is_named_and_the_set_up_brings_it(site):
    site.well("mmdet", "einops")
    assert problems(site) == [
        "mmdet, einops cannot be found: run `make test`, which installs what is missing."
    ]
    assert problems(site, "--before") == []  # installing mends that


@pytest.mark.parametrize(
    ("packages", "sentence"),
    [
        (
            {"mmcv": "2.1.0", "mmcv-lite": "2.1.0"},
            "mmcv 2.1.0 and mmcv-lite 2.1.0 own the same folder, so only one of them may be installed: run "
            rf"`{PIP} uninstall -y mmcv mmcv-lite && {PIP} install mmcv-lite==2\.1\.0`\.",
        ),
        (
            {"mmcv": "1.7.2"},
            "mmdet 3.3.0 refuses mmcv 1.7.2: run "
            rf"`{PIP} uninstall -y mmcv && {PIP} install mmcv-lite==2\.1\.0`\.",
        ),
        ({"mmcv": "2.2.0"}, "mmdet 3.3.0 refuses mmcv 2.2.0: run "),
        ({"mmcv-lite": "2.2.0"}, "mmdet 3.3.0 refuses mmcv-lite 2.2.0: run "),
        (
            {"mmcv-full": "1.7.2"},
            "mmcv-full and the packages that mmdet 3.3.0 needs own the same folders: leave this environment "
            rf"\(`deactivate`\), or run `{PIP} uninstall -y mmcv-full mmcv mmcv-lite && {PIP} install",
        ),
        (
            {"onedl-mmcv": "2.3.6", "onedl-mmengine": "0.10.12"},
            "onedl-mm.* and onedl-mm.* and the packages that mmdet 3.3.0 needs own the same folders: leave",
        ),
        (
            {"torch": "2.5.1"},
            rf"torch 2.5.1 cannot load checkpoints safely: run `{PIP} install 'torch>=2.6'`, or leave this "
            r"environment \(`deactivate`\)\.",
        ),
    ],
)
def test_what_installing_would_not_mend_is_said_before_and_after(site, packages, sentence):
    for name, version in packages.items():
        site.add(name, version)
    for options in ([], ["--before"]):
        (found,) = problems(site, *options)
        assert re.match(sentence, found)


@pytest.mark.parametrize("version", ["2.0.0rc4", "2.0.1", "2.1.0"])
def test_every_mmcv_that_mmdet_takes_is_taken(site, version):
    site.add("mmcv", version)
    assert problems(site, "--before") == []


def test_opencv_without_its_system_library_is_exchanged_and_said_once(site):
    lacks = 'raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")'
    site.well("opencv-python", "mmcv-lite")
    site.add("opencv-python", "4.11.0.86", "cv2", lacks)
    site.add("mmcv-lite", "2.1.0", "mmcv", "import cv2")
    assert problems(site) == [
        "OpenCV needs the system library libGL.so.1, which is not here: run `"
        f"{sys.executable} -m pip install --force-reinstall --no-deps opencv-python-headless==4.11.0.86`."
    ]


def test_a_torchvision_for_another_torch_is_a_problem(site):
    site.well()
    registers = "import torch; torch.library.register_fake('torchvision::nms')(print)"
    site.add("torchvision", "0.28.0", "torchvision", registers)
    assert problems(site) == [
        "torchvision 0.28.0 was built for another torch than 2.13.0+cpu (RuntimeError: operator "
        f"torchvision::nms does not exist): run `{sys.executable} -m pip uninstall -y torchvision` "
        "(it is not needed), or install the build that matches."
    ]


def test_peers_that_are_missing_are_named(site):
    site.well()
    (found,) = problems(site, "--peers")
    assert found.startswith(
        "timm, vit_pytorch, tensorflow, peft, onnx, onnxscript, onnxruntime cannot be found"
    )
    assert "`make test-peers`" in found


def test_a_crash_is_a_sentence(site):
    site.well("einops")
    site.add("einops", "0.8.2", "einops", "import os; os.kill(os.getpid(), 11)")
    (found,) = problems(site)
    assert found.startswith("einops is installed and cannot be imported (the process ends with status -11): ")
    assert "start afresh (`make clean`, or `deactivate`)" in found


def test_a_setuptools_without_pkg_resources_is_known(site):
    site.well("mmengine")
    site.add("mmengine", "0.10.7", "mmengine", "import pkg_resources")
    assert problems(site) == [
        "mmengine needs the pkg_resources of an older setuptools: run "
        f"`{sys.executable} -m pip install 'setuptools>=64,<81'`."
    ]


def test_compiled_ops_must_run(site):
    site.well(mmcv="mmcv")
    (site.folder / "mmcv" / "ops.py").write_text(OPS)
    (site.folder / "torch" / "__init__.py").write_text(f"{TORCH}\ndef tensor(x): return x")
    assert problems(site) == []  # maxvit_mm supplies the ops
    (found,) = problems(site, "--compiled")
    assert found.startswith(
        "the compiled ops of mmcv 2.1.0 do not work beside torch 2.13.0+cpu (ModuleNotFoundE"
    )
    assert "run `MMCV_WITH_OPS=1 " in found
    assert found.endswith("--no-build-isolation --no-binary mmcv --no-cache-dir mmcv==2.1.0`.")

    (site.folder / "mmcv" / "_ext.py").write_text("")
    assert problems(site, "--compiled") == []
    assert "mmcv 2.1.0 (with its compiled ops)" in site.doctor("--compiled")[1]

    (site.folder / "mmcv" / "_ext.py").write_text("raise ImportError('_ext.so: undefined symbol: _ZN3c10')")
    for options in ([], ["--compiled"]):
        (found,) = problems(site, *options)
        assert "(ImportError: _ext.so: undefined symbol: _ZN3c10): run `MMCV_WITH_OPS=1 " in found


def test_mmcv_lite_is_not_what_the_compiled_environment_needs(site):
    site.well()
    (found, *_) = problems(site, "--compiled", "--before")
    assert re.match(
        f"mmcv-lite 2.1.0 has no compiled ops: run `{PIP} uninstall -y mmcv-lite`, then `make test-comp",
        found,
    )


def test_python_3_8_can_read_what_refuses_it():
    for file in ("tools/doctor.py", "maxvit_mm/commands/doctor.py"):
        ast.parse((ROOT / file).read_text(), feature_version=(3, 8))


def test_the_doctor_imports_nothing_that_may_be_broken():
    tree = ast.parse((ROOT / "maxvit_mm/commands/doctor.py").read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
