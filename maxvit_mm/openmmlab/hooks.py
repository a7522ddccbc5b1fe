"""What a training run does beside training: checks before it, equal randomness after a resume, curves."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, Runner

from ..weights import CheckpointError, check_detector
from .backbone import MaxViT
from .class_names import (
    check_class_names,
    classes_of_checkpoint,
    classes_of_run,
    difference,
    plain_datasets,
    to_start_anew,
    to_test,
)
from .curves import draw_curves

# How the data preprocessors of MMDetection, MMSegmentation and MMPretrain call that they turn BGR into RGB.
TO_RGB = ("_channel_conversion", "channel_conversion", "to_rgb")
WORKERS = 10_000  # more than the processes that read for one training: no two epochs seed one alike


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Stop before the first step where the config's classes are not those of the annotation file.

    MMDetection takes label numbers from the file's order of categories and names from the config, and
    passes over a name that the file does not have: AP is 0, or a class has another's name.

    Likewise where a checkpoint that is tested or resumed was trained on other classes, or on the same in
    another order. Training from `load_from` may have other classes, and says so.
    """

    def before_run(self, runner: Runner) -> None:
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            for dataset in plain_datasets(getattr(getattr(loop, "dataloader", None), "dataset", None)):
                check_class_names(dataset)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        trains = isinstance(runner._train_loop, BaseLoop)
        loop = runner._train_loop if trains else runner._test_loop or runner._val_loop
        own = classes_of_run(loop)
        theirs = classes_of_checkpoint(checkpoint)
        if own and theirs and list(own) != list(theirs):
            source = str(getattr(runner, "_load_from", None) or "the checkpoint")
            if trains and not runner._resume:
                runner.logger.warning(
                    f"{source}: {difference(theirs, own)}; the heads' rows keep their places"
                )
                return
            way_on = to_start_anew(source) if trains else to_test(theirs, own)
            raise CheckpointError(f"{source}: {difference(theirs, own)}. Nothing was started. {way_on}")


@HOOKS.register_module()
class CompleteLoadHook(Hook):
    """Account for every tensor of a checkpoint that a run starts from.

    MMEngine loads what fits and goes on, with random weights for the rest. Here testing and resuming stop
    where one tensor is missing, left over or misshapen. Training from `load_from` may replace heads, for
    other classes: it stops only where the backbone is incomplete, and warns of the rest.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        source = getattr(runner, "_load_from", None) or "the checkpoint"
        may_differ = isinstance(runner._train_loop, BaseLoop) and not runner._resume
        problems = check_detector(unwrapped(runner.model), checkpoint, source, other_heads=may_differ)
        if problems:
            runner.logger.warning(f"{source} fits only in part; the rest starts at random:\n{problems}")


@HOOKS.register_module()
class NormalizationHook(Hook):
    """Say so, before the first step, where images are not normalised as the pretrained weights expect."""

    def before_train(self, runner: Runner) -> None:  # MMEngine loads the weights after `before_run`
        model = unwrapped(runner.model)
        preprocessor = getattr(model, "data_preprocessor", None)
        for backbone in (module for module in model.modules() if isinstance(module, MaxViT)):
            for problem in normalization_problems(backbone.pretrained, preprocessor):
                runner.logger.warning(problem)


def unwrapped(model: Any) -> torch.nn.Module:
    """The detector inside MMEngine's wrapper for several processes."""
    return model.module if is_model_wrapper(model) else model


def normalization_problems(about: dict[str, Any], preprocessor: Any) -> Iterator[str]:
    """What a data preprocessor does to images that weights with these metadata were not trained for."""
    if not about or preprocessor is None:
        return
    if about["mean"] is None:
        yield (
            f"NORMALISATION NOT CHECKED: the converted {about['source']} does not say with what mean and std "
            f"it was trained; convert it again with --normalization"
        )
        return
    for key in ("mean", "std"):
        value = getattr(preprocessor, key, None)
        here = None if value is None else value.flatten().tolist()
        if here is not None and len(here) == 1:
            here = here * 3
        if here is None or any(abs(a - b) > 0.5 for a, b in zip(here, about[key], strict=True)):
            yield (
                f"NORMALISATION DIFFERS: the pretrained weights ({about['source']}) were trained with {key} "
                f"{about[key]}, this config has {here}: set model.data_preprocessor.{key}={about[key]}"
            )
    if not any(getattr(preprocessor, name, False) for name in TO_RGB):
        key = "to_rgb" if hasattr(preprocessor, "to_rgb") else "bgr_to_rgb"
        yield (
            "CHANNELS DIFFER: the pretrained weights were trained on RGB and images are loaded as BGR: set "
            f"model.data_preprocessor.{key}=True"
        )


@HOOKS.register_module()
class ReseedHook(Hook):
    """Seed each step by its number, so that a resumed run draws what an uninterrupted one draws.

    Augmentation, stochastic depth and sampling of boxes then repeat exactly. In training by epochs, workers
    begin anew with each, seeded by its number: `persistent_workers` would carry their randomness over.
    """

    def before_train(self, runner: Runner) -> None:
        """Shuffle with the seed of the training that goes on: MMEngine reads it after building the loader."""
        loop: Any = runner.train_loop
        seeded = getattr(loop.dataloader.worker_init_fn, "keywords", {}).get("seed", runner.seed)
        if seeded != runner.seed and isinstance(runner._train_dataloader, dict):
            apart = runner._randomness_cfg.get("diff_rank_seed", False)
            loader = runner.build_dataloader(runner._train_dataloader, runner.seed, diff_rank_seed=apart)
            loop.dataloader = loader
            if hasattr(loop, "dataloader_iterator"):
                loop.dataloader_iterator = type(loop.dataloader_iterator)(loader)

    def before_train_epoch(self, runner: Runner) -> None:
        loop: Any = runner.train_loop
        if hasattr(loop, "dataloader_iterator"):  # by iterations, the whole training is one epoch
            loop.dataloader_iterator = SeededReads(loop.dataloader_iterator, partial(seed_step, runner))
        else:
            seed_step(runner, runner.iter)  # the first images are read before the first step
            begin_workers_anew(loop.dataloader, (runner.seed + runner.epoch * WORKERS) % 2**31)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        seed_step(runner, runner.iter)


def seed_step(runner: Runner, step: int) -> None:
    seed = runner.seed + step * get_world_size() + get_rank()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class SeededReads:
    """The batches of a training by iterations, each read after `seed(its number)`.

    A resumed run reads, and drops, the batches of the steps that were trained, for workers augment as they
    did. onedl-mmengine would pass over them by `skip_iter`, unread.
    """

    def __init__(self, batches: Iterator[Any], seed: Callable[[int], None]) -> None:
        self.batches, self.seed, self.number = batches, seed, 0

    def __next__(self) -> Any:
        self.seed(self.number)
        self.number += 1
        return next(self.batches)

    def skip_iter(self, steps: int) -> None:
        for _ in range(steps):
            next(self)


def begin_workers_anew(loader: Any, seed: int) -> None:
    """Have the next epoch read by new workers, seeded from `seed` on."""
    loader._iterator = None  # which PyTorch keeps where workers are persistent
    if isinstance(loader.worker_init_fn, partial) and "seed" in loader.worker_init_fn.keywords:
        loader.worker_init_fn = partial(loader.worker_init_fn, seed=seed)  # MMEngine's


@HOOKS.register_module()
class DeployHook(Hook):
    """Test with every MaxViT switched to deploy, once its weights are loaded."""

    def before_test(self, runner: Runner) -> None:
        for backbone in (module for module in runner.model.modules() if isinstance(module, MaxViT)):
            backbone.switch_to_deploy()


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
