"""What a training run does beside training: check the classes, repeat a resumed epoch, draw its curves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from pycocotools.coco import COCO

from .curves import draw_curves


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Stop before the first step where the config's classes are not those of the annotation file.

    MMDetection takes label numbers from the file's order of categories and names from the config, and
    passes over a name that the file does not have: AP is 0, or a class has another's name.
    """

    def before_run(self, runner: Runner) -> None:
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            for dataset in plain_datasets(getattr(getattr(loop, "dataloader", None), "dataset", None)):
                check_class_names(dataset)


def plain_datasets(dataset: Any) -> Iterator[Any]:
    """The datasets inside OpenMMLab's wrappers that have COCO's category ids."""
    for inner in getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]:
        if inner is not None:
            yield from plain_datasets(inner)
    if hasattr(dataset, "cat_ids") and hasattr(dataset, "ann_file"):
        yield dataset


def check_class_names(dataset: Any) -> None:
    dataset.full_init()
    wanted = list(dataset.metainfo["classes"])
    standard = wanted == list(type(dataset).METAINFO.get("classes", ()))
    if standard and len(dataset.cat_ids) == len(wanted):
        return  # COCO's own classes, all found: spare COCO's users a second look at a large file
    categories = COCO(dataset.ann_file).loadCats(dataset.cat_ids)
    found = [category["name"] for category in categories]
    if found == wanted:
        return
    absent = [name for name in wanted if name not in found]
    problem = (
        f"has no class named {', '.join(absent)}"
        if absent
        else f"lists its classes in the order {', '.join(found)}, the config as {', '.join(wanted)}"
    )
    raise SystemExit(
        f"{dataset.ann_file} {problem}. Set metainfo=dict(classes=...) of the dataset and num_classes to "
        f"the file's own, or let `--data FOLDER` do it."
    )


@HOOKS.register_module()
class ReseedHook(Hook):
    """Seed each epoch by its number, so that a resumed run draws what an uninterrupted one draws.

    Stochastic depth and sampling of boxes then repeat exactly; so does augmentation without workers.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        seed = runner.seed + runner.epoch * get_world_size() + get_rank()
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)


@HOOKS.register_module()
class CurvesHook(Hook):
    """Draw loss and AP over the steps into `curves.png` in the work directory, at each evaluation."""

    priority = "VERY_LOW"  # after the logger has written the numbers

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if is_main_process():
            draw_curves(Path(runner.work_dir))

    def after_train(self, runner: Runner) -> None:
        if is_main_process():
            draw_curves(Path(runner.work_dir))
