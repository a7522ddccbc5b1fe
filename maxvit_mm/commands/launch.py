"""What `tools/train.py` and `tools/test.py` share: the config, checked before anything is built.

Building, training and testing are MMEngine's `Runner`.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmdet.utils import setup_cache_size_limit_of_dynamo
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner

from ..data.folder import Folder
from ..openmmlab.class_names import classes_of_checkpoint
from ..openmmlab.config_checks import (
    check_checkpoints,
    check_loops,
    check_model,
    check_options,
    check_pipelines,
    complete_options,
    require_file,
)
from ..openmmlab.hardware import is_first_process, processes, use_gloo
from ..openmmlab.image_size import set_scale
from ..openmmlab.own_config import config_of_checkpoint
from ..openmmlab.planning import Data, Settled, Wishes, plan_training
from ..openmmlab.runner import TrainingRunner
from ..openmmlab.shipped_configs import find_config
from ..openmmlab.task_packages import read_config as config_in
from ..openmmlab.tasks import task_of
from ..openmmlab.training_plan import TrainingPlan
from ..openmmlab.written_keys import keys_of_user
from ..weights import CheckpointError
from .refusals import clear_refusals

# Of a config's name: with --data, it is another one.
DATA_SET = re.compile(r"(_(ade20k|coco|in1k|in21k|shapes|shapes_classes|tiny_imagenet|voc))+$")


class Plan(NamedTuple):
    """A config with the command line's changes, the folder of `--data`, and what the training will be."""

    cfg: Config
    folder: Folder | None
    training: TrainingPlan | None = None


def read_config(
    args: argparse.Namespace,
    splits: Sequence[str],
    checkpoint: str | None = None,
    known: Sequence[str] | None = None,
) -> Config:
    """The config of `read_plan`; says what is in the folder."""
    cfg, folder, _ = read_plan(args, splits, checkpoint, known)
    describe(cfg, folder)
    return cfg


def describe(cfg: Config, folder: Folder | None) -> None:
    """Say what is in the folder of `--data`."""
    if folder is not None and is_first_process():
        notes = (f"note: {note}" for note in task_of(cfg).notes(cfg, folder))
        print("\n".join([folder.describe(), *notes]))


def read_plan(
    args: argparse.Namespace,
    splits: Sequence[str],
    checkpoint: str | None = None,
    known: Sequence[str] | None = None,
) -> Plan:
    """The config with the command line's changes: `--data` first, so that `--cfg-options` can correct it.

    Args:
        splits: those that `--data` must have. With 'train' among them, the config is made to train.
        checkpoint: whose own config is taken where the command line names none.
        known: the classes of a checkpoint that is tested. Where `--data` has more, those are taken.

    Raises:
        SystemExit: with a sentence on what is wrong.
    """
    folder = None
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    setup_cache_size_limit_of_dynamo()
    cfg, name = starting_config(args, checkpoint)
    task = task_of(cfg)
    check_options(cfg, args.cfg_options or {})
    written = keys_of_user(find_config(args.config)) if args.config else []
    check_pipelines(cfg, written)
    if args.classes and args.data is None:
        raise SystemExit("--classes chooses among the classes of --data: name the folder too")
    if args.data is not None:
        meant = with_options(cfg, args.cfg_options)
        with clear_refusals():
            folder = with_classes(args, task.inspect(Path(args.data), meant, splits), known)
            task.point(cfg, folder)
        name = f"{DATA_SET.sub('', name)}_{folder.root.resolve().name}"
    recipe, cfg = cfg, with_options(cfg, args.cfg_options)
    training = None
    if "train" in splits and cfg.get("train_cfg") and cfg.get("train_dataloader"):
        training = fitted(args, cfg, recipe, folder, written)
    elif args.img_scale:
        set_scale(cfg, args.img_scale)
    task.complete(cfg)
    complete_options(cfg)
    task.title_pictures(cfg)
    check_model(cfg.model)
    check_loops(cfg)
    check_checkpoints(cfg)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or str(Path("work_dirs") / name)
    if args.launcher == "pytorch" and not torch.cuda.is_available():
        use_gloo(cfg)
    return Plan(cfg, folder, training)


def with_classes(args: argparse.Namespace, folder: Folder, known: Sequence[str] | None) -> Folder:
    """The folder with the classes that the command line names, else with those that a checkpoint knows."""
    if args.classes:
        return folder.only(args.classes)
    if not known or not set(known) < set(folder.classes):
        return folder
    if is_first_process():
        others = ", ".join(name for name in folder.classes if name not in known)
        print(f"note: the checkpoint knows {', '.join(known)}. Left out of the evaluation: {others}")
    return folder.only(known)


def starting_config(args: argparse.Namespace, checkpoint: str | None) -> tuple[Config, str]:
    """The config that the command line names, else that of the checkpoint; and what to call its runs."""
    if args.config is not None:
        path = find_config(args.config)
        with clear_refusals():
            return config_in(path), path.stem
    if checkpoint is None:
        raise SystemExit("name a config: a file, or one of ours such as mask_rcnn_maxvit_t_coco")
    with clear_refusals():
        cfg = config_of_checkpoint(checkpoint)
    cfg.custom_imports = dict(imports=["maxvit_mm"], allow_failed_imports=False)
    cfg.load_from, cfg.resume = None, False
    cfg.work_dir = str(Path(checkpoint).parent)
    return cfg, Path(checkpoint).absolute().parent.name


class Trained(NamedTuple):
    """What a checkpoint says of its training; None where it does not tell."""

    cfg: Config | None
    classes: Sequence[str] | None


def trained_with(source: str) -> Trained:
    """Read what a checkpoint says of its training; what cannot be read is refused where it is loaded.

    Raises:
        SystemExit: where there is no such file.
    """
    require_file(source)
    classes = None
    try:
        checkpoint = CheckpointLoader.load_checkpoint(source, map_location="cpu", logger="silent")
        classes = classes_of_checkpoint(checkpoint) if isinstance(checkpoint, dict) else None
        return Trained(config_of_checkpoint(source, checkpoint), classes)
    except CheckpointError:
        return Trained(None, classes)


def fitted(
    args: argparse.Namespace, cfg: Config, recipe: Config, folder: Folder | None, written: list[str]
) -> TrainingPlan:
    """Make a config train as the command line wishes, and as follows from the folder."""
    asked = Wishes(args.epochs, args.max_steps, args.batch_size, args.lr, args.img_scale)
    data = None
    # Without --data, looking costs a minute for COCO, and what follows is asked for only with a length.
    if folder is not None or any(asked):
        val = folder.splits["val"].images if folder is not None and "val" in folder.splits else None
        # A checkpoint's config has been planned for the data that it was trained on.
        follows = folder is not None and args.config is not None and not args.as_configured
        there = task_of(cfg).survey(cfg, folder)
        data = Data(there, val, follows) if there is not None else None
    settled = Settled([*(args.cfg_options or ()), *written])
    together = getattr(args, "processes", None) or (processes() if args.launcher != "none" else 1)
    return plan_training(cfg, recipe, asked, settled, data, together)


def with_options(cfg: Config, options: dict[str, Any] | None) -> Config:
    """A copy, changed as `--cfg-options` says."""
    cfg = deepcopy(cfg)
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError) as error:
        raise SystemExit(f"--cfg-options: {error}") from error
    return cfg


def build_runner(cfg: Config, kind: type[Runner] = TrainingRunner) -> Runner:
    with clear_refusals():
        return kind.from_cfg(cfg)
