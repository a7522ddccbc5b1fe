"""The built package, as `pip install .` puts it somewhere: configs and tools where `mim` looks."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The contents of a wheel, built from a copy of the clone without a network."""
    clone, out = tmp_path_factory.mktemp("clone") / "c", tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", "work_dirs", "data", "build", "*.egg-info", ".mim", ".*_cache"
    )
    shutil.copytree(ROOT, clone, ignore=ignored)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(out),
        ".",
    ]
    subprocess.run(command, cwd=clone, check=True, capture_output=True)
    site = out / "site"
    zipfile.ZipFile(next(out.glob("*.whl"))).extractall(site)
    return site


def test_the_package_carries_configs_tools_and_class_names(installed):
    package = installed / "maxvit_mm"
    for name in ("model-index.yml", "configs/metafile.yml", "configs/_base_/runtime.py", "tools/train.py"):
        assert (package / ".mim" / name).is_file(), name
    assert (package / "inference/imagenet_1k.txt").is_file()
    assert sorted(path.name for path in (package / ".mim/configs").glob("*.py")) == sorted(
        path.name for path in (ROOT / "configs").glob("*.py")
    )
    assert not list(installed.rglob("tests"))


def test_an_installed_package_finds_its_configs_by_name_from_anywhere(installed, tmp_path):
    program = "from maxvit_mm.openmmlab.shipped_configs import find_config as find; "
    program += "print(find('mask_rcnn_maxvit_t_coco'))"
    env = {**os.environ, "PYTHONPATH": str(installed)}
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    ).stdout
    assert Path(said.splitlines()[-1]).samefile(
        installed / "maxvit_mm/.mim/configs/mask_rcnn_maxvit_t_coco.py"
    )
