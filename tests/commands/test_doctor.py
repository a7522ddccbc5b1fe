"""tools/doctor.py as a user runs it, in environments played by folders: each problem and what mends it."""

import ast
import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT

TORCH = """
class version:
    hip, cuda = None, "13.0"
class cuda:
    def is_available(): return False
    def device_count(): return 0
    def get_arch_list(): return []
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
UPSTREAM = {"mmengine": "0.10.7", "mmcv-lite": "2.1.0", "mmdet": "3.3.0"}
ONEDL = {"onedl-mmengine": "0.10.12", "onedl-mmcv": "2.3.6", "onedl-mmdetection": "3.5.1"}
SEGMENTATION = "mmsegmentation==1.2.2 ftfy regex"
INSTALL_UPSTREAM = f"{PIP} install mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0 'setuptools<81'"
INSTALL_ONEDL = f"{PIP} install onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmdetection==3.5.1"


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

    def well(self, *without, mmcv="mmcv-lite", family=None):
        modules = {"opencv-python": "cv2", mmcv: "mmcv"}
        modules.update(zip(ONEDL, ("mmengine", "mmcv", "mmdet"), strict=True))
        versions = {"opencv-python": "5.0.0.93", "torch": "2.13.0+cpu", "einops": "0.8.2"}
        versions.update({"safetensors": "0.8.0", "maxvit_mm": "0.1.0"})
        versions.update(family or {"mmengine": "0.10.7", mmcv: "2.1.0", "mmdet": "3.3.0"})
        for name in versions.keys() - set(without):
            code = TORCH if name == "torch" else ""
            self.add(name, versions[name], modules.get(name, name), code)

    def doctor(self, *options, **variables):
        """The exit status, and what is said."""
        # Without `site`, the packages of this environment are out of sight.
        child = subprocess.run(
            [sys.executable, "-S", str(ROOT / "tools" / "doctor.py"), *options],
            env={"PYTHONPATH": str(self.folder), "PATH": "/usr/bin:/bin", **variables},
            cwd=self.folder,  # where this Python is not, whose path is shown in full then
            capture_output=True,
            text=True,
        )
        assert child.stderr == ""
        return child.returncode, child.stdout


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


def problems(site, *options, **variables):
    status, said = site.doctor(*options, **variables)
    found = re.findall(r"^  problem  environment +(.+)", said, re.MULTILINE)
    assert status == (1 if found else 0)
    return found


def test_a_well_environment_is_listed_and_has_no_problem(site):
    site.well()
    status, said = site.doctor()
    assert status == 0
    assert re.findall(r"^  ok +(\S+) +(.*)", said, re.MULTILINE)[1:] == [
        ("torch", "2.13.0+cpu"),
        ("torchvision", "none; only classification needs it"),
        ("OpenMMLab", "OpenMMLab's own packages"),
        ("mmcv", "mmcv-lite 2.1.0 (no compiled ops; maxvit_mm has those that detectors need)"),
        ("mmengine", "mmengine 0.10.7"),
        ("mmdet", "mmdet 3.3.0"),
        ("OpenCV", "opencv-python 5.0.0.93"),
        ("GPU", "none"),
        ("mmseg", f"none; only segmentation needs it: `{sys.executable} -m pip install {SEGMENTATION}`"),
        (
            "mmpretrain",
            f"none; only classification needs it: `{sys.executable} -m pip install mmpretrain==1.2.0`",
        ),
    ]


def test_the_living_fork_alone_is_well(site):
    site.well(family=ONEDL)
    status, said = site.doctor()
    assert status == 0
    assert re.findall(r"^  ok +(\S+) +(.*)", said, re.MULTILINE)[3:7] == [
        ("OpenMMLab", "onedl, the living fork"),
        ("mmcv", "onedl-mmcv 2.3.6 (no compiled ops; maxvit_mm has those that detectors need)"),
        ("mmengine", "onedl-mmengine 0.10.12"),
        ("mmdet", "onedl-mmdetection 3.5.1"),
    ]
    (found,) = problems(site, "--compiled")
    assert found.startswith("the compiled ops of onedl-mmcv 2.3.6 do not work beside torch 2.13.0+cpu (")
    assert re.search(rf"run `{PIP} .*--no-binary onedl-mmcv --no-cache-dir onedl-mmcv==2\.3\.6`\.$", found)


def test_what_is_missing_is_named_and_the_set_up_brings_it(site):
    site.well("mmdet", "einops")
    assert problems(site, VIRTUAL_ENV="/an/environment") == [
        "mmdet, einops cannot be found: run `make test`, which installs what is missing."
    ]
    assert problems(site, "--before") == []  # installing mends that


def test_a_package_whose_files_went_with_its_twins_is_installed_again(site):
    site.well(family=ONEDL)
    (site.folder / "mmengine/__init__.py").unlink()
    (site.folder / "mmengine").rmdir()
    (found,) = problems(site)
    assert found.startswith("onedl-mmengine 0.10.12 is installed and its folder mmengine is gone")
    assert found.endswith("install --force-reinstall --no-deps onedl-mmengine==0.10.12`.")


def test_the_systems_python_is_told_which_environment_has_what_is_missing(site):
    site.folder.mkdir()
    for variables in ({}, {"CONDA_PREFIX": "/conda", "CONDA_DEFAULT_ENV": "base"}):
        (found,) = problems(site, **variables)
        assert found == (
            "cv2, torch, mmengine, mmcv, mmdet, einops, safetensors, maxvit_mm cannot be found: this is the "
            "system's Python. Run `make test`, which fills the environment `.venv`, then activate that in "
            "each new shell: `. .venv/bin/activate`."
        )


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
        (  # both families
            {**UPSTREAM, **ONEDL},
            "mmengine, mmcv-lite, mmdet of OpenMMLab's own packages and onedl-mmengine, onedl-mmcv, "
            r"onedl-mmdetection of onedl, the living fork are installed, and own the same folders "
            r"\(mmengine, mmcv, mmdet\), one written over the other: run one of these lines, for OpenMMLab's "
            rf"own packages, `{PIP} uninstall -y onedl-mmengine onedl-mmcv onedl-mmdetection mmengine "
            rf"mmcv-lite mmdet && {INSTALL_UPSTREAM}`; or for onedl, the living fork, `{PIP} uninstall -y "
            rf"mmengine mmcv-lite mmdet onedl-mmengine onedl-mmcv onedl-mmdetection && {INSTALL_ONEDL}`\.$",
        ),
        (  # a half of each
            {"onedl-mmengine": "0.10.12", "mmcv-lite": "2.1.0", "mmdet": "3.3.0"},
            "mmcv-lite, mmdet of OpenMMLab's own packages and onedl-mmengine of onedl, the living fork are "
            "installed, a half of each family, and the halves do not fit: run one of these lines, for "
            rf"OpenMMLab's own packages, `{PIP} uninstall -y onedl-mmengine && {INSTALL_UPSTREAM}`; or for "
            rf"onedl, the living fork, `{PIP} uninstall -y mmcv-lite mmdet && {INSTALL_ONEDL}`\.$",
        ),
        (  # a compiled mmcv is not exchanged for one without ops
            {"mmcv": "2.1.0", "onedl-mmdetection": "3.5.1"},
            f".*`{PIP} uninstall -y onedl-mmdetection && {PIP} install mmengine==0.10.7 mmdet==3.3.0 ",
        ),
        (  # of another task, which has its own of either family
            {**UPSTREAM, "onedl-mmsegmentation": "1.4.2"},
            ".* and onedl-mmsegmentation of onedl, the living fork are installed, a half of each family.* "
            rf"`{PIP} uninstall -y onedl-mmsegmentation && {INSTALL_UPSTREAM} {SEGMENTATION}`; or .* && "
            rf"{INSTALL_ONEDL} onedl-mmsegmentation==1\.4\.2`\.$",
        ),
        (
            {**UPSTREAM, "mmpretrain": "1.2.0", "onedl-mmpretrain": "1.3.6"},
            rf".* the same folders \(mmpretrain\), .*`{PIP} uninstall -y onedl-mmpretrain mmpretrain && "
            rf"{INSTALL_UPSTREAM} mmpretrain==1\.2\.0`; or .* onedl-mmpretrain==1\.3\.6`\.$",
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
        f"(it is not needed), or put the build for this torch in its place, `{sys.executable} -m pip install "
        "--force-reinstall --no-deps torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cpu`."
    ]


def test_a_torchvision_that_serves_without_its_ops_is_a_note(site):
    site.well("maxvit_mm")
    site.add(
        "torchvision",
        "0.28.0",
        "torchvision",
        "import torch; torch.library.register_fake('torchvision::nms')",
    )
    serves = "import sys, types; sys.modules['torchvision'] = types.ModuleType('torchvision')"
    site.add("maxvit_mm", "0.1.0", "maxvit_mm", serves)
    assert problems(site) == []
    (note,) = re.findall(r"^  note +torchvision +(.+)", site.doctor()[1], re.MULTILINE)
    assert note == (
        "0.28.0, whose compiled ops do not load beside torch 2.13.0+cpu: it serves without them, and the ops "
        f"of detectors run in PyTorch. For compiled ones, `{sys.executable} -m pip install --force-reinstall "
        "--no-deps torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cpu`"
    )


def test_a_framework_of_another_task_is_tried_and_what_it_lacks_is_named(site):
    site.well()
    for name, folder, code in (
        ("mmsegmentation", "mmseg", "import ftfy"),
        ("mmpretrain", "mmpretrain", "import torchvision"),
    ):
        site.add(name, "1.2.0", folder)
        for module in ("models", "datasets"):
            (site.folder / folder / f"{module}.py").write_text(code)
    python = sys.executable
    assert problems(site) == [
        f"mmsegmentation 1.2.0 needs ftfy, which is not here: run `{python} -m pip install ftfy regex`.",
        "mmpretrain 1.2.0 needs torchvision, which is not here: run "
        f"`{python} -m pip install torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cpu`.",
    ]
    for folder in ("mmseg", "mmpretrain"):
        for module in ("models", "datasets"):
            (site.folder / folder / f"{module}.py").write_text("")
    assert problems(site) == []
    assert re.search(r"^  ok +mmseg +mmsegmentation 1\.2\.0$", site.doctor()[1], re.MULTILINE)


@pytest.mark.parametrize(
    ("torch", "said"),
    [
        ("2.13.0+cu126", "torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cu126"),
        ("2.6.0+cu124", "torchvision==0.21.0 --index-url https://download.pytorch.org/whl/cu124"),
        ("2.13.0", ""),  # PyPI's, for which PyPI has its own
        ("2.13.0+cpu", ""),
    ],
)
def test_the_torchvision_of_a_torch_for_cuda_is_told_to_the_set_up(site, torch, said):
    site.add("torch", torch)
    assert site.doctor("--torchvision") == (0, f"{said}\n")
    site.add("torchvision", "0.28.0")
    assert site.doctor("--torchvision") == (0, "\n")


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


GPU = """
class version:
    hip, cuda = None, "13.0"
class cuda:
    def is_available(): return True
    def device_count(): return 1
    def get_device_name(i=0): return "some GPU"
    def get_device_capability(i=0): return {}
    def get_device_properties(i=0): return None
    def get_arch_list(): return {}
"""
BUILDS = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.mark.parametrize(
    ("capability", "builds", "mend"),
    [
        (
            (7, 0),
            BUILDS,
            "try one for an older CUDA, `.* --index-url https://download.pytorch.org/whl/cu126`",
        ),
        ((6, 1), [*BUILDS, "compute_120"], "try one for an older CUDA"),
        ((13, 0), BUILDS, f"take a newer one, `{PIP} install --upgrade torch`"),
        ((13, 0), [*BUILDS, "compute_120"], None),  # the driver translates those
        ((8, 9), BUILDS, None),  # as 8.6 does
        ((12, 1), BUILDS, None),
        ((9, 0), ["sm_90a"], None),
        ((9, 0), ["gfx90a"], None),  # AMD's, of which this says nothing
    ],
)
def test_a_gpu_that_torch_has_no_kernels_for_is_named(site, capability, builds, mend):
    site.well("torch")
    site.add("torch", "2.13.0+cu130", "torch", GPU.format(capability, builds))
    found = problems(site)
    if mend is None:
        assert found == []
        capability = ".".join(map(str, capability))
        said = site.doctor()[1]
        assert f"GPU            some GPU (capability {capability}, CUDA 13.0)\n" in said
        assert re.search(
            f"note     Triton         none, so no kernels of ours: `{PIP} install triton`\n", said
        )
        site.add("triton", "3.7.1")
        assert "ok       Triton         3.7.1\n" in site.doctor()[1]
    else:
        said = "torch 2.13.0+cu130 has no kernels for the GPU some GPU, of compute capability "
        said += f"{capability[0]}.{capability[1]}, only for sm_75, "
        assert found[0].startswith(said)
        assert re.search(mend, found[0])
        assert found[0].endswith("to use the CPU meanwhile, set CUDA_VISIBLE_DEVICES=''.")


@pytest.fixture
def driver(tmp_path):
    """A folder for the PATH with a driver that knows a GPU."""
    smi = tmp_path / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 'NVIDIA H100, 555.42'\n")
    smi.chmod(0o755)
    return f"{smi.parent}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("torch", "said"), [("2.13.0+cpu", "was built without CUDA"), ("2.13.0", "driver may be")]
)
def test_a_gpu_that_the_driver_knows_and_torch_does_not_see_is_named(site, driver, torch, said):
    site.well("torch")
    site.add("torch", torch, "torch", TORCH)
    (found,) = problems(site, PATH=driver)
    assert found.startswith(f"there is a GPU, NVIDIA H100 (driver 555.42), and torch {torch} ")
    assert said in found
    assert problems(site, PATH=driver, CUDA_VISIBLE_DEVICES="") == []  # hidden on purpose


def test_the_lines_can_be_had_as_json(site):
    site.well()
    status, said = site.doctor("--json")
    lines = json.loads(said)
    assert status == 0
    assert {"level": "ok", "about": "torch", "text": "2.13.0+cpu"} in lines
    assert {line["level"] for line in lines} == {"ok"}


DOCTOR = sorted((ROOT / "maxvit_mm/commands/doctor").glob("*.py"))


def test_python_3_8_can_read_what_refuses_it():
    for file in (ROOT / "tools/doctor.py", *DOCTOR):
        ast.parse(file.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("path", DOCTOR, ids=lambda path: path.stem)
def test_the_doctor_imports_nothing_that_may_be_broken(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    from_where = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names |= {node.module for node in from_where if not node.level}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    assert {node.module for node in from_where if node.level} <= {other.stem for other in DOCTOR}
    assert max([node.level for node in from_where]) <= 1


def test_the_doctor_names_the_versions_that_are_pinned():
    pins = (ROOT / "tools/pins.txt").read_text().splitlines()
    said = " ".join(path.read_text() for path in DOCTOR)
    said += "".join(
        (ROOT / "maxvit_mm/openmmlab" / file).read_text()
        for file in ("mmcv_ops/compiled.py", "task_packages.py")
    )
    named = set(
        re.findall(r"(?:onedl-mm[a-z]+|mm(?:engine|cv-lite|cv|det|segmentation|pretrain))==[\d.]+\d", said)
    )
    tasks = {"mmsegmentation", "mmpretrain", "onedl-mmsegmentation", "onedl-mmpretrain"}
    assert {name.partition("==")[0] for name in named} == {*UPSTREAM, "mmcv", *ONEDL, *tasks}
    assert named <= set(pins)
