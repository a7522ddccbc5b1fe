"""The frameworks of single tasks: their configs as bases, and sentences where one is missing."""

import importlib
import re
from importlib.metadata import version
from importlib.util import find_spec

import pytest
from mmengine.config.utils import MODULE2PACKAGE

from maxvit_mm.openmmlab import task_packages
from maxvit_mm.openmmlab.mmcv_ops.compiled import is_onedl
from maxvit_mm.openmmlab.task_packages import (
    FRAMEWORKS,
    MissingPackageError,
    know_forks_configs,
    need_package,
    read_config,
)

BASES = {
    "mmdet": "mmdet::_base_/models/mask-rcnn_r50_fpn.py",
    "mmseg": "mmseg::_base_/models/upernet_r50.py",
    "mmpretrain": "mmpretrain::_base_/models/resnet50.py",
}


@pytest.fixture
def without(monkeypatch):
    """Hides packages, of which MMEngine says that they are not installed."""

    def hide(*names):
        hidden = {*names, *(version_of for name in names for version_of in distributions_of(name))}
        monkeypatch.setattr(
            task_packages, "find_spec", lambda name: None if name in hidden else find_spec(name)
        )
        monkeypatch.setattr("mmengine.config.config.is_installed", lambda name: name not in hidden)

    return hide


def distributions_of(name):
    each = FRAMEWORKS.get(name)
    return [task_packages.name_of(said) for said in (each.of_openmmlab, each.of_onedl)] if each else []


def config(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize("framework", BASES)
def test_a_config_stands_on_one_of_each_framework(framework, tmp_path):
    assert read_config(config(tmp_path, f"_base_ = '{BASES[framework]}'")).model.backbone.type == "ResNet" + (
        "V1c" if framework == "mmseg" else ""
    )


@pytest.mark.parametrize("part", ["models", "datasets", "evaluation", "engine"])
@pytest.mark.parametrize("framework", ["mmseg", "mmpretrain"])
def test_a_framework_is_imported_whole_beside_ours(framework, part):
    """Without compiled mmcv, and whatever torch torchvision was built for."""
    assert importlib.import_module(f"{framework}.{part}").__name__ == f"{framework}.{part}"


@pytest.mark.parametrize(
    "text",
    [
        f"_base_ = '{BASES['mmseg']}'",
        "default_scope = 'mmseg'",
        "custom_imports = dict(imports=['mmseg.no_such_models'])",
    ],
)
def test_a_config_for_a_framework_that_is_missing_says_what_installs_it(text, tmp_path, without):
    without("mmseg")
    package = re.escape(FRAMEWORKS["mmseg"].distribution)
    sentence = f"^mine is for MMSegmentation, which is not installed: run `pip install {package}`$"
    with pytest.raises(MissingPackageError, match=sentence):
        read_config(config(tmp_path, text))


def test_a_failure_that_is_of_no_framework_keeps_its_words(tmp_path):
    for module in ("no_such_module", "mmseg.no_such_module"):
        with pytest.raises(ImportError, match=f"Failed to import custom modules from .*'{module}'"):
            read_config(config(tmp_path, f"custom_imports = dict(imports=['{module}'])"))


def test_what_a_framework_needs_besides_is_asked_for_with_the_torch_that_is_here(without):
    need_package("mmpretrain")
    without("torchvision", "regex")
    command = re.escape(f"pip install torchvision torch=={version('torch')}")
    with pytest.raises(
        MissingPackageError, match=f"^cat is for .*, which needs torchvision: run `{command}`$"
    ):
        need_package("mmpretrain", "cat")
    with pytest.raises(
        MissingPackageError, match=r"^this config is for MMSegmentation, .* `pip install regex`$"
    ):
        need_package("mmseg")


def test_the_packages_are_those_of_the_family_that_is_here(monkeypatch):
    for onedl in (True, False):
        monkeypatch.setattr(task_packages, "is_onedl", lambda onedl=onedl: onedl)
        assert all(each.distribution.startswith("onedl-") == onedl for each in FRAMEWORKS.values())


def test_mmengine_finds_the_configs_of_the_family_that_is_here(monkeypatch):
    assert MODULE2PACKAGE["mmseg"] == ("onedl-mmsegmentation" if is_onedl() else "mmsegmentation")
    names = dict(MODULE2PACKAGE)
    monkeypatch.setattr(task_packages, "is_onedl", lambda: True)
    try:
        know_forks_configs()
        assert MODULE2PACKAGE["mmpretrain"] == "onedl-mmpretrain"
    finally:
        MODULE2PACKAGE.update(names)
