"""Modules under the names that they had before the package had rooms, for programs that still say so."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "backbone": "openmmlab.backbone",
    "checkpoint": "weights.checkpoint",
    "classifier": "openmmlab.classifier",
    "cost": "measure.cost",
    "datasets": "data",
    "datasets.coco_folder": "data.coco_folder",
    "datasets.retarget": "openmmlab.retarget",
    "datasets.shapes": "data.shapes",
    "loading": "weights.loading",
    "mmcv_ops": "openmmlab.mmcv_ops",
    "tta": "openmmlab.tta",
    "weights.convert": "weights.conversion",
    "weights_file": "weights.file",
}


class Moved(MetaPathFinder, Loader):
    """Finds a module under its old name, and gives the one that there is now: never a second copy."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, _: object = None) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        known = package == __package__ and name in MOVED
        return ModuleSpec(fullname, self, is_package=name == "datasets") if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = f"{__package__}.{MOVED[spec.name.partition('.')[2]]}"
        warnings.warn(f"{spec.name} is {new} now", DeprecationWarning, stacklevel=2)
        module = ModuleType(spec.name, f"{new}, under its old name.")
        module.__dict__.update(vars(importlib.import_module(new)))
        if spec.submodule_search_locations is not None:
            module.__path__ = []  # what is in it has moved as well: nothing is found there twice
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


sys.meta_path.insert(0, Moved())
