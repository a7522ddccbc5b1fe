"""How long a config trains, and its learning rate's schedule stretched to another length, in place."""

from __future__ import annotations

from typing import Any, NamedTuple

from mmengine.config import Config, ConfigDict

WARMING = ("LinearLR", "ConstantLR")  # types of schedulers that a training begins with
PLACES = ("begin", "end", "T_max", "milestones", "period")  # what a scheduler counts in epochs or steps


class Length(NamedTuple):
    """Of a training, in epochs and in steps; `by_epoch` says in which of them its config counts."""

    epochs: float
    steps: int
    by_epoch: bool

    @property
    def whole(self) -> int:
        """Epochs or steps, as the config counts."""
        return max(1, round(self.epochs)) if self.by_epoch else self.steps

    @property
    def unit(self) -> str:
        return "epochs" if self.by_epoch else "steps"


def counts_epochs(cfg: Config) -> bool:
    """Whether a config's training is counted in epochs."""
    train = cfg.get("train_cfg") or {}
    return "max_iters" not in train


def length_of(cfg: Config, steps_an_epoch: float) -> Length:
    """How long a config trains, where an epoch has so many steps."""
    train: dict[str, Any] = cfg.get("train_cfg") or {}
    if counts_epochs(cfg):
        epochs = train.get("max_epochs", 1)
        return Length(epochs, round(epochs * steps_an_epoch), True)
    return Length(train["max_iters"] / steps_an_epoch, train["max_iters"], False)


def schedulers_of(cfg: Config) -> list[ConfigDict]:
    """The schedulers of a config, whether it has one or a list of them."""
    found = cfg.get("param_scheduler") or []
    return [found] if isinstance(found, dict) else list(found)


def is_warm_up(scheduler: dict[str, Any]) -> bool:
    return scheduler.get("type") in WARMING and scheduler.get("begin", 0) == 0 and "end" in scheduler


def warm_up_of(cfg: Config, steps_an_epoch: float) -> int:
    """The steps of a config's warm-up; 0 without one."""
    for scheduler in schedulers_of(cfg):
        if is_warm_up(scheduler):
            by_epoch = scheduler.get("by_epoch", True)
            return round(scheduler["end"] * (steps_an_epoch if by_epoch else 1))
    return 0


def stretch(cfg: Config, old: Length, new: Length, warm_up: int) -> None:
    """Let a training of the length `old`, and its schedule, last for `new`; the warm-up takes so many steps.

    The schedule was meant for as long as its last scheduler lasts, whatever the training's length was.
    """
    before = next((s["end"] for s in schedulers_of(cfg) if is_warm_up(s) and not s.get("by_epoch", True)), 0)
    made_for = {by_epoch: schedule_length(cfg, by_epoch) for by_epoch in (True, False)}
    for scheduler in schedulers_of(cfg):
        by_epoch = scheduler.get("by_epoch", True)
        if is_warm_up(scheduler):
            # MMEngine's would stay at its first value, for good, with fewer than two steps.
            scheduler.update(begin=0, end=max(2, warm_up), by_epoch=False)
            scheduler.pop("convert_to_iter_based", None)
            continue
        lasts = made_for[by_epoch] or (old.whole if by_epoch == old.by_epoch else 0)
        to_epochs = by_epoch and new.by_epoch
        last = new.whole if to_epochs else new.steps
        factor = last / lasts if lasts else 1
        scheduler["by_epoch"] = to_epochs
        if not to_epochs:
            scheduler.pop("convert_to_iter_based", None)
        behind_warm_up = not by_epoch and 0 < scheduler.get("begin", 0) <= before
        for key in PLACES:
            if isinstance(scheduler.get(key), (list, tuple)):
                scheduler[key] = [max(1, round(place * factor)) for place in scheduler[key]]
            elif scheduler.get(key):
                scheduler[key] = max(1, round(scheduler[key] * factor))
        if behind_warm_up:
            scheduler["begin"] = max(2, warm_up)
        if scheduler.get("begin"):
            scheduler["begin"] = min(scheduler["begin"], last - 1)  # a warm-up may outlast two steps
        if "end" in scheduler:
            scheduler["end"] = max(scheduler["end"], scheduler.get("begin", 0) + 1)
    set_length(cfg, new)


def schedule_length(cfg: Config, by_epoch: bool) -> int:
    """The epochs, or steps, that a schedule was made for; 0 where none of its schedulers says."""
    alike = (s for s in schedulers_of(cfg) if not is_warm_up(s) and s.get("by_epoch", True) == by_epoch)
    return max(map(last_place, alike), default=0)


def last_place(scheduler: dict[str, Any]) -> int:
    """Where a scheduler ends; 0 where it does not say."""
    return scheduler.get("end") or max(scheduler.get("milestones") or [0])


def set_length(cfg: Config, new: Length) -> None:
    """Train for `new`, by epochs or by steps as it says."""
    if new.by_epoch:
        cfg.train_cfg.max_epochs = new.whole
        return
    if counts_epochs(cfg):
        count_steps(cfg)
    cfg.train_cfg.max_iters = new.steps


def count_steps(cfg: Config) -> None:
    """Have everything counted in steps that counted in epochs, but for the schedule."""
    cfg.train_cfg = dict(type="IterBasedTrainLoop", max_iters=1, val_interval=1)
    # Without it, MMEngine waits for two seconds between the rounds through the data.
    cfg.train_dataloader["sampler"] = dict(type="InfiniteSampler", shuffle=True)
    hooks = cfg.setdefault("default_hooks", {})
    if hooks.get("checkpoint"):
        hooks.checkpoint.update(by_epoch=False)
    if hooks.get("logger"):
        hooks.logger.update(log_metric_by_epoch=False)
    cfg.log_processor = {**(cfg.get("log_processor") or {}), "by_epoch": False}


def set_intervals(cfg: Config, every: int, evaluate: bool = True, save: bool = True) -> None:
    """Evaluate and save after so many epochs or steps."""
    if evaluate:
        cfg.train_cfg.val_interval = every
        cfg.train_cfg.pop("dynamic_intervals", None)
    hook = (cfg.get("default_hooks") or {}).get("checkpoint")
    if save and hook:
        hook["interval"] = every
