"""What can be seen to be wrong with a config before anything is built."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import LOOPS
from mmengine.runner import Runner

from ..network import VARIANTS, find_variant
from .loaders import dataset_configs

RANDOM_WEIGHTS = (
    "note: the backbone starts from random weights, which costs accuracy on all but very long schedules. "
    "Convert ImageNet weights with tools/convert_weights.py, then add: --cfg-options "
    "model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE"
)
# Top-level keys that MMEngine's runner, MMDetection's tools or ours read.
READ = {*inspect.signature(Runner).parameters, "auto_scale_lr", "find_unused_parameters", "model_wrapper_cfg"}
READ |= {
    "sync_bn",
    "compile",
    "activation_checkpointing",
    "efficient_conv_bn_eval",
    "tta_model",
    "tta_pipeline",
}

# What may read a backbone's maps where no neck does: of MMDetection, of MMSegmentation, of MMPretrain.
TAKERS = ("panoptic_head", "decode_head", "auxiliary_head", "head")

# Hooks that every run of ours has, whoever's config it is.
OURS = (
    "ClassNamesHook",
    "CompleteLoadHook",
    "ResumedScheduleHook",
    "TimeLeftHook",
    "LossWatchHook",
    "FusedAdamHook",
)


def check_options(cfg: Config, options: dict[str, Any]) -> None:
    """Refuse a key of `--cfg-options` that nothing would read."""
    for option in options:
        key = option.partition(".")[0]
        if key in READ:
            continue
        if key in cfg:
            raise SystemExit(
                f"--cfg-options {option}: {key} is a variable of the config, used when it was read: set what "
                f"was made of it, such as train_cfg.max_iters or train_dataloader.dataset.data_root"
            )
        alike = get_close_matches(key, READ, n=1)
        meant = f"; did you mean {alike[0]}?" if alike else ""
        raise SystemExit(f"--cfg-options {option}: a config has no {key}{meant}")


def check_pipelines(cfg: Config, written: Collection[str]) -> None:
    """Refuse a pipeline that nothing reads: of a config that defines one anew beside its base's dataset.

    Args:
        written: the keys that the user's own file sets.
    """
    plain = cfg.to_dict()
    for role in {"train", "val", "test"}.intersection(key.removesuffix("_pipeline") for key in written):
        own, loader = plain.get(f"{role}_pipeline"), plain.get(f"{role}_dataloader")
        rest = {key: value for key, value in plain.items() if key != f"{role}_pipeline"}
        if own and loader and str(own) not in str(rest):
            raise SystemExit(
                f"{role}_pipeline is a variable that nothing reads: the dataset has its base's. Add to the "
                f"config: {role}_dataloader = dict(dataset=dict(pipeline={role}_pipeline))"
            )


def complete_options(cfg: Config) -> None:
    """Set, in place, what must go together.

    Without workers, PyTorch takes nothing that is theirs. Whoever reads a checkpoint accounts for its classes
    and its tensors, in configs of other people as well.
    """
    for role in ("train", "val", "test"):
        loader = cfg.get(f"{role}_dataloader") or {}
        if loader.get("num_workers") == 0:
            loader["persistent_workers"] = False
            for key in ("prefetch_factor", "multiprocessing_context", "timeout"):
                loader.pop(key, None)
    hooks = list(cfg.get("custom_hooks") or [])
    missing = [kind for kind in OURS if kind not in {h.get("type") for h in hooks}]
    cfg.custom_hooks = hooks + [dict(type=kind) for kind in missing]


def check_loops(cfg: Config) -> None:
    """Refuse a key that a loop does not take, such as max_iters where epochs are counted."""
    for role in ("train", "val", "test"):
        loop = cfg.get(f"{role}_cfg") or {}
        name = loop.get("type")
        if name is None and "by_epoch" in loop:
            name = "EpochBasedTrainLoop" if loop["by_epoch"] else "IterBasedTrainLoop"
        kind = LOOPS.module_dict.get(name)  # `get` would start a logger, without the run's folder
        if kind is None:
            continue
        takes = inspect.signature(kind).parameters.keys() - {"runner", "dataloader", "evaluator"}
        for key in loop.keys() - takes - {"type", "by_epoch", "_scope_"}:
            raise SystemExit(
                f"{role}_cfg.{key}: {name} takes {', '.join(sorted(takes))}; leave {key} out, or set "
                f"{role}_cfg.type to a loop that takes it"
            )


def check_checkpoints(cfg: Config) -> None:
    """Refuse a training that counts its checkpoints in another unit than its steps: it would write none."""
    hook = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    loop = str((cfg.get("train_cfg") or {}).get("type"))
    if hook and loop in ("EpochBasedTrainLoop", "IterBasedTrainLoop"):
        by_epoch = loop == "EpochBasedTrainLoop"
        if bool(hook.get("by_epoch", True)) != by_epoch:
            raise SystemExit(
                f"default_hooks.checkpoint.by_epoch is {not by_epoch}, and {loop} does not count so: no "
                f"checkpoint would be written. Set default_hooks.checkpoint.by_epoch={by_epoch} and its "
                f"interval in {'epochs' if by_epoch else 'iterations'}"
            )


def check_model(model: dict[str, Any]) -> None:
    """Refuse weights that would load in part, and a neck or head that does not fit the backbone."""
    if "Pretrained" in str(model.get("init_cfg")):
        raise SystemExit(
            "model.init_cfg=dict(type='Pretrained') loads what fits and leaves the rest random, in silence: "
            "name a whole trained model with load_from, and backbone weights with model.backbone.init_cfg"
        )
    backbone = model.get("backbone") or {}
    if backbone.get("type") != "MaxViT":
        return
    try:
        widths = find_variant(backbone.get("arch", "tiny")).widths
        given = [widths[i] for i in backbone.get("out_indices", range(len(widths)))]
    except (ValueError, IndexError, TypeError):
        return  # the backbone itself says what is wrong with it
    for place, taker in takers_of(model):
        channels = taker["in_channels"]
        several = isinstance(channels, list | tuple)
        index = taker.get("in_index", range(len(given)) if several else -1)
        try:
            fits = [given[i] for i in index] if several else given[index]
        except (IndexError, TypeError):
            raise SystemExit(
                f"model.{place}.in_index is {index}, and this backbone has {len(given)} maps: name some of "
                f"{list(range(len(given)))}"
            ) from None
        if (list(channels) if several else channels) != fits:
            raise SystemExit(
                f"model.{place}.in_channels is {channels}, and this backbone's maps have {given} channels: "
                f"set model.{place}.in_channels={fits}"
            )


def takers_of(model: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What reads the backbone's maps, and says how wide it expects them, with its place in the config."""
    names = ("neck",) if "in_channels" in (model.get("neck") or {}) else TAKERS
    for name in names:
        part = model.get(name) or {}
        places = {name: part} if isinstance(part, dict) else {f"{name}.{i}": p for i, p in enumerate(part)}
        for place, taker in places.items():
            if taker.get("in_channels") is not None:
                yield place, taker


def require_checkpoint(cfg: Config) -> None:
    """Refuse, in one sentence, to go on without the files of weights that the config names."""
    init_cfg = (cfg.model.get("backbone") or {}).get("init_cfg") or {}
    named = [cfg.get("load_from"), init_cfg.get("checkpoint") if isinstance(init_cfg, dict) else None]
    for path in (str(path) for path in named if path):
        require_file(path)


def require_file(path: str) -> None:
    """Refuse, in one sentence, a file of weights that is not there."""
    local = ":" not in path.partition("/")[0]  # no URL
    if local and not Path(path).expanduser().exists() and not Path(f"{path}.index").is_file():
        raise SystemExit(f"there is no checkpoint file {path}")


def has_checkpoint(work_dir: str) -> bool:
    """Whether a training that can be resumed has left something in a folder."""
    saved = (Path(work_dir).glob(name) for name in ("last_checkpoint", "epoch_*.pth", "iter_*.pth"))
    return any(path for found in saved for path in found)


def notes_on_the_start(cfg: Config, from_released: bool = True) -> Iterator[str]:
    """What a user may not have meant by starting as `cfg` does.

    Args:
        from_released: whether it was meant to start from released weights.
    """
    goes_on = cfg.get("load_from") or has_checkpoint(cfg.work_dir)
    if cfg.get("resume") and not goes_on:
        yield f"note: there is no checkpoint in {cfg.work_dir} to resume from: starting from the beginning"
    if not cfg.get("resume") and has_checkpoint(cfg.work_dir):
        yield (
            f"note: {cfg.work_dir} holds checkpoints of an earlier training. This one starts from the "
            "beginning and writes over them: stop it and add --resume to go on, or name another folder by "
            "--work-dir"
        )
    backbone = cfg.model.get("backbone") or {}
    released = backbone.get("type") == "MaxViT" and backbone.get("arch", "tiny") in VARIANTS.keys() - {"pico"}
    resumed = cfg.get("resume") and goes_on
    if from_released and released and not (backbone.get("init_cfg") or cfg.get("load_from") or resumed):
        yield RANDOM_WEIGHTS


def require_data(cfg: Config, loaders: Sequence[str]) -> None:
    """Refuse, in one sentence, to go on without the files and folders that `loaders` read."""
    missing = []
    for dataset in (d for loader in loaders for d in dataset_configs(cfg.get(loader))):
        root, prefix = str(dataset.get("data_root") or ""), dataset.get("data_prefix") or {}
        parts = prefix.values() if isinstance(prefix, dict) else [prefix]
        for part in (dataset.get("ann_file"), *parts):
            path = os.path.join(root, part or "")  # noqa: PTH118  (may be a URL, which a Path would break)
            if path and "://" not in path and not Path(path).exists():
                missing.append(path)
    if missing:
        raise SystemExit(
            f"no data: {', '.join(dict.fromkeys(missing))} not found; put the data set there or link it, "
            f"or take a folder of your own with `--data FOLDER`, or see MaxViT learn in minutes, "
            f"without any download, with `make demo`."
        )
