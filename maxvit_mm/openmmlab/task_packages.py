"""The frameworks of single tasks, which not everybody has: MMSegmentation, MMPretrain, of either family."""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.config import utils as of_configs

from .mmcv_ops.compiled import is_onedl


class Framework(NamedTuple):
    """A framework: its packages of OpenMMLab and of onedl, as pip is told, and what it imports besides."""

    name: str
    of_openmmlab: str
    of_onedl: str
    besides: tuple[str, ...] = ()

    @property
    def distribution(self) -> str:
        """The package of the family that is here, with its version."""
        return self.of_onedl if is_onedl() else self.of_openmmlab


FRAMEWORKS = {
    "mmdet": Framework("MMDetection", "mmdet==3.3.0", "onedl-mmdetection==3.5.1"),
    "mmseg": Framework(
        "MMSegmentation", "mmsegmentation==1.2.2", "onedl-mmsegmentation==1.4.2", ("ftfy", "regex")
    ),
    "mmpretrain": Framework("MMPretrain", "mmpretrain==1.2.0", "onedl-mmpretrain==1.3.6", ("torchvision",)),
}


class MissingPackageError(ImportError):
    """A task's framework, or what it needs besides, is not installed; says what installs it."""


def need_package(name: str, what: str = "this config") -> None:
    """Refuse to go on without a task's framework.

    Args:
        name: its folder, 'mmdet', 'mmseg' or 'mmpretrain'.
        what: what is for it, such as a config's name.

    Raises:
        MissingPackageError: says what to install.
    """
    framework = FRAMEWORKS[name]
    missing = [each for each in framework.besides if find_spec(each) is None]
    is_here = find_spec(name) is not None
    if is_here and not missing:
        return
    wanted = [*([] if is_here else [framework.distribution]), *missing]
    if "torchvision" in missing:  # pip then takes the one for this torch, instead of another torch
        wanted.append(f"torch=={version('torch')}")
    without = f"which needs {' and '.join(missing)}" if is_here else "which is not installed"
    raise MissingPackageError(
        f"{what} is for {framework.name}, {without}: run `pip install {' '.join(wanted)}`"
    )


def know_forks_configs() -> None:
    """Let a config's `_base_` name one of a framework, 'mmseg::...', in the fork as well.

    MMEngine looks for the package that the folder is of, and its list has OpenMMLab's own names alone.
    """
    if is_onedl():
        of_configs.MODULE2PACKAGE.update({key: name_of(each.of_onedl) for key, each in FRAMEWORKS.items()})


def read_config(path: Path) -> Config:
    """A config file with its bases.

    Raises:
        MissingPackageError: where it is for a framework that is missing, or names one in `_base_` or in an
            import; says what to install.
    """
    try:
        cfg = Config.fromfile(path)
    except ImportError as error:
        named = set(re.split(r"[^\w-]+", str(error)))
        for folder, each in FRAMEWORKS.items():
            if named & {folder, *map(name_of, (each.of_openmmlab, each.of_onedl))}:
                need_package(folder, path.stem)
        raise
    if cfg.get("default_scope") in FRAMEWORKS:
        need_package(cfg.default_scope, path.stem)
    return cfg


def name_of(requirement: str) -> str:
    return requirement.partition("==")[0]
