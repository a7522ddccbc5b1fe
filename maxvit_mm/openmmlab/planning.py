"""A config made to train as a user wishes, and as follows from the data where nobody says it."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, NamedTuple

from mmengine.config import Config

from ..data.survey import Survey
from .image_size import Scale, scale_of, set_scale
from .schedules import Length, length_of, set_intervals, set_length, stretch, warm_up_of
from .tasks import task_of
from .training_plan import (
    COCO,
    COCO_BATCH,
    EVALUATIONS,
    TrainingPlan,
    epochs_for,
    interval_for,
    rate_for,
    scale_for,
    warm_up_for,
)

OFTEN = 10  # steps from one line of the log to the next, for a reader who waits


class Wishes(NamedTuple):
    """What a user asks for; None: what follows."""

    epochs: int | None = None
    steps: int | None = None
    batch: int | None = None  # images of one process
    rate: float | None = None
    scale: Scale | None = None


class Data(NamedTuple):
    """What there is to train on, and how many images to validate on."""

    train: Survey
    val: int | None = None
    follow: bool = True  # whether what nobody says is to follow from it


class Settled:
    """Keys that `--cfg-options` or the user's own config file have set: they stay."""

    def __init__(self, options: Collection[str] | None):
        self.options = tuple(options or ())

    def __call__(self, *keys: str) -> bool:
        """Whether one of the keys was set, as a part of another one or by its own parts."""
        return any(
            option == key or option.startswith(f"{key}.") or key.startswith(f"{option}.")
            for option in self.options
            for key in keys
        )


def plan_training(
    cfg: Config,
    recipe: Config,
    wishes: Wishes,
    settled: Settled,
    data: Data | None = None,
    processes: int = 1,
) -> TrainingPlan:
    """Change `cfg` in place, and say what it is then.

    Args:
        cfg: with all options of the command line; what `settled` names stays as it is.
        recipe: the same without `--cfg-options`: its length, rate and warm-up are what is scaled.
        processes: that train together, each with a batch of its own.

    Raises:
        SystemExit: where the config has no place for what is wished.
    """
    follow = data is not None and data.follow
    if wishes.batch:
        cfg.train_dataloader["batch_size"] = wishes.batch
    set_size(cfg, wishes, settled, data)
    about = recipe.get("auto_scale_lr") or {}
    base_batch = about.get("base_batch_size") or COCO_BATCH
    base_images = about.get("base_images", COCO)
    loaded = cfg.train_dataloader.get("batch_size", 1) * processes
    images = data.train.images * repeated(cfg.train_dataloader.get("dataset") or {}) if data else base_images
    round_ = math.ceil(images / loaded)  # steps of an epoch

    own = length_of(recipe, base_images / base_batch)
    told = settled("train_cfg.max_epochs", "train_cfg.max_iters", "train_cfg.type", "train_cfg.by_epoch")
    if wishes.epochs:
        new = Length(wishes.epochs, wishes.epochs * round_, own.by_epoch)
    elif wishes.steps:
        new = Length(wishes.steps / round_, wishes.steps, False)
    elif told or not follow:
        new = length_of(cfg, round_)
    else:
        epochs = epochs_for(images, own.epochs, base_images, loaded)
        if own.by_epoch:
            epochs = math.ceil(epochs - 1e-6)
            new = Length(epochs, int(epochs) * round_, True)
        else:
            steps = math.ceil(epochs * images / loaded - 1e-6)
            new = Length(steps * loaded / images, steps, False)

    changed = bool(follow or wishes.epochs or wishes.steps)
    if changed and settled("param_scheduler"):
        set_length(cfg, new)
    elif changed:
        stretch(cfg, own, new, warm_up_for(warm_up_of(recipe, base_images / base_batch), new.steps))
    if changed:
        set_evaluation(cfg, own, new, settled, images, data)
    rate, follows = set_rate(cfg, recipe, wishes, settled, loaded, follow)
    if follow and not scales_itself(cfg):
        # A config that was planned says what it was planned for.
        batch = loaded * accumulated(cfg)
        cfg.auto_scale_lr = dict(enable=False, base_batch_size=batch, base_images=images)
    optimizer = ((cfg.get("optim_wrapper") or {}).get("optimizer") or {}).get("type")
    return TrainingPlan(
        new,
        loaded * accumulated(cfg),
        str(optimizer),
        rate,
        follows,
        warm_up_of(cfg, round_),
        cfg.train_cfg.get("val_interval", 1),
        data.train if data else None,
        task_of(cfg).in_network(cfg, data.train.width, data.train.height) if data else None,
        data.val if data else None,
    )


def set_size(cfg: Config, wishes: Wishes, settled: Settled, data: Data | None) -> None:
    """The size of images, as is wished, or as the data suggests."""
    if wishes.scale:
        set_scale(cfg, wishes.scale)
    elif data and data.follow and not any("pipeline" in option for option in settled.options):
        own = scale_of(cfg)
        scale = scale_for(own, data.train.width, data.train.height)
        if scale is not None and scale != own:
            set_scale(cfg, scale)


def set_evaluation(
    cfg: Config, own: Length, new: Length, settled: Settled, images: int, data: Data | None
) -> None:
    """When to evaluate, save and log, in a training of another length than the config's."""
    every = cfg.train_cfg.get("val_interval", 1)
    if data and data.follow:
        every = interval_for(new, images, data.val)
    elif own.by_epoch != new.by_epoch:
        every = max(1, new.whole // EVALUATIONS)
    every = min(every, new.whole)
    set_intervals(
        cfg,
        every,
        evaluate=not settled("train_cfg.val_interval"),
        save=not settled("default_hooks.checkpoint.interval"),
    )
    logger = (cfg.get("default_hooks") or {}).get("logger")
    if logger and data and data.follow and not settled("default_hooks.logger.interval"):
        logger["interval"] = min(logger.get("interval", OFTEN), OFTEN)


def set_rate(
    cfg: Config, recipe: Config, wishes: Wishes, settled: Settled, loaded: int, follow: bool
) -> tuple[float | None, float | None]:
    """Set the learning rate. Returns it, and the one that follows for the images of a step."""
    optimizer: Any = (cfg.get("optim_wrapper") or {}).get("optimizer") or {}
    own = ((recipe.get("optim_wrapper") or {}).get("optimizer") or {}).get("lr")
    base = (recipe.get("auto_scale_lr") or {}).get("base_batch_size")
    follows = None
    if own is not None and base:
        follows = rate_for(own, loaded * accumulated(cfg), base, str(optimizer.get("type")))
    if wishes.rate is not None:
        if "lr" not in optimizer:
            raise SystemExit("--lr: the config's optim_wrapper has no optimizer.lr to set")
        optimizer["lr"] = wishes.rate
    elif follow and follows and not (settled("optim_wrapper.optimizer.lr") or scales_itself(cfg)):
        optimizer["lr"] = follows
    return optimizer.get("lr"), follows


def scales_itself(cfg: Config) -> bool:
    """Whether MMEngine will scale the rate."""
    return bool((cfg.get("auto_scale_lr") or {}).get("enable"))


def accumulated(cfg: Config) -> int:
    """The steps whose gradients are summed before the weights change."""
    return (cfg.get("optim_wrapper") or {}).get("accumulative_counts") or 1


def repeated(dataset: dict[str, Any]) -> int:
    """How often a round through a dataset's wrappers shows each image."""
    inner = dataset.get("dataset")
    return int(dataset.get("times", 1)) * (repeated(inner) if isinstance(inner, dict) else 1)
