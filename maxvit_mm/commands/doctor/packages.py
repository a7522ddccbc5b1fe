"""What names and versions of packages show: two that own one folder, halves of two families."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

LITE, FULL, ONEDL_MMCV = "mmcv-lite==2.1.0", "mmcv==2.1.0", "onedl-mmcv==2.3.6"
UPSTREAM, ONEDL = "OpenMMLab's own packages", "onedl, the living fork"  # how the families are called
INSTALLS = {
    UPSTREAM: f"mmengine==0.10.7 {LITE} mmdet==3.3.0 'setuptools<81'",
    ONEDL: f"onedl-mmengine==0.10.12 {ONEDL_MMCV} onedl-mmdetection==3.5.1",
}
# The frameworks of the other tasks, which not everybody has, by folder: as pip is told, of either family.
OF_TASKS = {
    "mmseg": ("segmentation", "mmsegmentation==1.2.2 ftfy regex", "onedl-mmsegmentation==1.4.2"),
    "mmpretrain": ("classification", "mmpretrain==1.2.0", "onedl-mmpretrain==1.3.6"),
}
# Packages by the folder that they own, OpenMMLab's own and onedl's.
FOLDERS = {
    "mmengine": (["mmengine"], ["onedl-mmengine"]),
    "mmcv": (["mmcv", "mmcv-lite", "mmcv-full"], ["onedl-mmcv"]),
    "mmdet": (["mmdet"], ["onedl-mmdetection"]),
    "mmseg": (["mmsegmentation"], ["onedl-mmsegmentation"]),
    "mmpretrain": (["mmpretrain"], ["onedl-mmpretrain"]),
}


def installed() -> dict[str, str]:
    """Packages by their normalised names, with versions; what Python finds first counts."""
    found = [(package.metadata["Name"], package.version) for package in distributions()]
    return {re.sub("[-_.]+", "-", name).lower(): version for name, version in reversed(found) if name}


def release(version: str) -> tuple[int, ...]:
    """The numbers that open a version: "2.13.0+cu130" -> (2, 13, 0)."""
    return tuple(map(int, re.findall(r"\d+", version.split("+")[0])[:3]))


def pip(words: str) -> str:
    """A command of pip as the user types it here, for this Python."""
    python, here = sys.executable, f"{Path.cwd()}/"
    return f"{shlex.quote(python[len(here) :] if python.startswith(here) else python)} -m pip {words}"


def for_lite(remove: str) -> str:
    return f"run `{pip('uninstall -y ' + remove)} && {pip('install ' + LITE)}`"


def members(there: dict[str, str]) -> dict[str, list[str]]:
    """The packages of each family that are there."""
    return {
        family: [name for owners in FOLDERS.values() for name in owners[i] if name in there]
        for i, family in enumerate((UPSTREAM, ONEDL))
    }


def family_of(there: dict[str, str]) -> str | None:
    return " and ".join(family for family, names in members(there).items() if names) or None


def of_task(folder: str, family: str | None) -> str:
    """The framework of a task, as pip is told, of a family."""
    return OF_TASKS[folder][2 if family == ONEDL else 1]


def problem_of_families(there: dict[str, str]) -> str | None:
    """Packages of both families: whole, one written over the other, or a half of each."""
    found = members(there)
    if not all(found.values()):
        return None
    shared = {
        folder: [name for names in owners for name in names if name in there]
        for folder, owners in FOLDERS.items()
        if all(any(name in there for name in names) for names in owners)
    }
    twice = [name for names in shared.values() for name in names]
    lists = " and ".join(f"{', '.join(names)} of {family}" for family, names in found.items())
    ways = []
    for family, others in ((UPSTREAM, found[ONEDL]), (ONEDL, found[UPSTREAM])):
        remove = list(dict.fromkeys([*others, *twice]))  # what was written over is no longer whole
        tasks = [
            folder for folder in OF_TASKS if any(name in there for each in FOLDERS[folder] for name in each)
        ]
        install = " ".join([INSTALLS[family], *(of_task(folder, family) for folder in tasks)])
        if "mmcv" in there and "mmcv" not in remove:
            install = install.replace(f"{LITE} ", "")  # a compiled one stays
        ways.append(
            f"for {family}, `{pip('uninstall -y ' + ' '.join(remove))} && {pip('install ' + install)}`"
        )
    said = (
        f"{lists} are installed, and own the same folders ({', '.join(shared)}), one written over the other"
        if shared
        else f"{lists} are installed, a half of each family, and the halves do not fit"
    )
    return f"{said}: run one of these lines, {'; or '.join(ways)}"


def problems_of_packages(there: dict[str, str], compiled: bool) -> list[str]:
    """What the packages' names and versions show, and what installing would make worse."""
    problems = []
    torch, mmcv, lite = there.get("torch"), there.get("mmcv"), there.get("mmcv-lite")
    if torch and release(torch) < (2, 6):
        newer = pip("install 'torch>=2.6'")
        problems.append(
            f"torch {torch} cannot load checkpoints safely: run `{newer}`, or leave this environment "
            "(`deactivate`)"
        )
    families = problem_of_families(there)
    if families:
        problems.append(families)
    elif "mmcv-full" in there:
        problems.append(
            "mmcv-full and the packages that mmdet 3.3.0 needs own the same folders: leave this environment "
            "(`deactivate`), or " + for_lite("mmcv-full mmcv mmcv-lite")
        )
    elif mmcv and lite:
        problems.append(
            f"mmcv {mmcv} and mmcv-lite {lite} own the same folder, so only one of them may be installed: "
            + for_lite("mmcv mmcv-lite")
        )
    else:
        for name, version in (("mmcv", mmcv), ("mmcv-lite", lite)):
            if version and not (2, 0, 0) <= release(version) < (2, 2):
                problems.append(f"mmdet 3.3.0 refuses {name} {version}: {for_lite(name)}")
        if compiled and lite:
            problems.append(
                f"mmcv-lite {lite} has no compiled ops: run `{pip('uninstall -y mmcv-lite')}`, "
                "then `make test-compiled`"
            )
    if compiled and not mmcv and "onedl-mmcv" not in there:
        problems += problems_of_compiling()
    return problems


def problems_of_compiling() -> list[str]:
    problems = []
    if sys.version_info >= (3, 13):  # mmcv 2.1.0's setup.py relies on what `locals()` did before
        problems.append(
            f"mmcv 2.1.0 cannot be compiled for Python {sys.version_info[0]}.{sys.version_info[1]}: "
            "run `rm -r .venv-compiled`, then `make test-compiled PYTHON=python3.11`"
        )
    if not any(map(shutil.which, [os.environ.get("CXX", "c++"), "g++", "clang++"])):
        problems.append(
            "no C++ compiler is on the PATH: install one (Debian, Ubuntu: `apt install g++`), "
            "or run `make test`, which needs none"
        )
    return problems
