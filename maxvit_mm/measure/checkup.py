"""What a training will need, held against the machine and the data, before a day of GPU time is spent."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import CheckpointLoader
from torch import nn

from ..fast.report import report
from ..openmmlab.class_names import classes_of_checkpoint, difference
from ..openmmlab.hooks import normalization_problems
from ..openmmlab.schedules import last_place
from ..weights import CheckpointError, check_detector
from .config_cost import build
from .cost import STATES, held
from .gpu_memory import Finding, has_average, memory, shape_of, size

SHARED_MEMORY = Path("/dev/shm")
PREFETCHED = 2  # batches that each of PyTorch's workers holds ready, unless the config says otherwise
EARLY = 0.9  # of a training: a schedule that has ended before leaves it at its lowest rate
FEW = 8  # images, below which BatchNorm's error grows: Figure 1 of Group Normalization, Wu and He, 2018


def cheap_findings(
    cfg: Config, model: nn.Module, images: int | None = None, processes: int = 1
) -> Iterator[Finding]:
    """What takes no time to see: disk, shared memory, learning rate, warm-up, BatchNorm.

    Args:
        model: the detector, on any device.
        images: of the training split, where they are known.
        processes: of the training, all on this machine.
    """
    loader = cfg.get("train_dataloader") or {}
    batch = loader.get("batch_size", 1)
    yield disk(cfg, model)
    yield from shared_memory(cfg, processes)
    yield from learning_rate(cfg, batch * processes)
    yield from warm_up(cfg, batch * processes, images)
    yield from schedules(cfg)
    yield from batch_norm(cfg, batch, processes)


def disk(cfg: Config, model: nn.Module) -> Finding:
    """Free space against the checkpoints that are kept, and the one that is written before one goes."""
    hook: Mapping = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    train: Mapping = cfg.get("train_cfg") or {}
    whole = train.get("max_epochs") if hook.get("by_epoch", True) else train.get("max_iters")
    written = max(1, int(whole or 1) // max(1, int(hook.get("interval", 1))))
    kept = hook.get("max_keep_ckpts", -1)
    count = (min(written, kept + 1) if kept > 0 else written) + bool(hook.get("save_best"))
    each = checkpoint_bytes(cfg, model)
    place = Path(cfg.get("work_dir") or ".").absolute()
    there = sum(path.stat().st_size for path in place.glob("*.pth")) if cfg.get("resume") else 0
    while not place.exists():
        place = place.parent
    free, needed = shutil.disk_usage(place).free, max(each, each * count - there)
    text = f"{size(free)} free in {place}, {count} checkpoints of {size(each)} need {size(needed)}"
    text += ", less what is there" if there else ""
    if free < needed:
        way = "make room, name another place with --work-dir, or keep fewer: "
        return Finding("problem", "disk", f"{text}: {way}default_hooks.checkpoint.max_keep_ckpts=1")
    return Finding("ok", "disk", text)


def checkpoint_bytes(cfg: Config, model: nn.Module) -> int:
    """Of the parameters, the optimizer's state and an average, as MMEngine saves them."""
    optimizer = ((cfg.get("optim_wrapper") or {}).get("optimizer") or {}).get("type")
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return held(model) * (2 if has_average(cfg) else 1) + STATES.get(str(optimizer), 0) * trained


def shared_memory(cfg: Config, processes: int) -> Iterator[Finding]:
    """Room for the batches that workers hand over, where there is a place for them (Linux)."""
    loader: Mapping = cfg.get("train_dataloader") or {}
    workers = loader.get("num_workers", 0) * processes
    shape = shape_of(cfg)
    if not workers or shape is None or not SHARED_MEMORY.is_dir():
        return
    ahead = loader.get("prefetch_factor") or PREFETCHED
    needed = workers * ahead * loader.get("batch_size", 1) * 3 * math.prod(shape)  # a byte for each channel
    free = shutil.disk_usage(SHARED_MEMORY).free
    text = f"{size(free)} free in {SHARED_MEMORY}, the batches of {workers} workers need {size(needed)}"
    if free < needed:
        yield Finding("problem", "shared memory", f"{text}: `docker run --shm-size=8g`, or fewer num_workers")
    else:
        yield Finding("ok", "shared memory", text)


def learning_rate(cfg: Config, batch: int) -> Iterator[Finding]:
    """Whether the rate is for as many images a step as there will be."""
    scale: Mapping = cfg.get("auto_scale_lr") or {}
    meant = scale.get("base_batch_size")
    if not meant:
        return
    if meant == batch or scale.get("enable"):
        yield Finding("ok", "learning rate", f"for {meant} images a step, and there are {batch}")
    else:
        text = f"for {meant} images a step, and there are {batch}: add --auto-scale-lr"
        yield Finding("note", "learning rate", text)


def warm_up(cfg: Config, batch: int, images: int | None) -> Iterator[Finding]:
    """Whether the warm-up leaves steps to learn in."""
    train: Mapping = cfg.get("train_cfg") or {}
    steps = train.get("max_iters")
    if steps is None and images and train.get("max_epochs"):
        steps = train["max_epochs"] * math.ceil(images / batch)
    for place, schedule in enumerate(cfg.get("param_scheduler") or ()):
        if steps and schedule.get("type") == "LinearLR" and not schedule.get("by_epoch", True):
            warm = schedule.get("end", 0)
            text = f"{warm} of {steps} steps"
            if warm * 3 > steps > 20:
                text += (
                    f", which leaves few to learn in: --cfg-options param_scheduler.{place}.end={steps // 10}"
                )
                yield Finding("note", "warm-up", text)
            else:
                yield Finding("ok", "warm-up", text)


def schedules(cfg: Config) -> Iterator[Finding]:
    """Whether the learning rate falls within the training and until its end, where its length was changed."""
    train: Mapping = cfg.get("train_cfg") or {}
    for place, schedule in enumerate(cfg.get("param_scheduler") or ()):
        last = train.get("max_epochs" if schedule.get("by_epoch", True) else "max_iters")
        falls = schedule.get("milestones") or [schedule.get("end")]
        late = [step for step in falls if step and last and step > last]
        if late and schedule.get("type") != "LinearLR":
            kind = "milestones" if schedule.get("milestones") else "end"
            fit = [max(1, step * last // (schedule.get("end") or max(falls))) for step in falls]
            way = f"param_scheduler.{place}.{kind}={fit if kind == 'milestones' else last}".replace(" ", "")
            text = f"{schedule['type']} counts to {max(late)}, and this training ends at {last}"
            yield Finding("note", "schedule", f"{text}: --cfg-options {way}")
        end = last_place(schedule)
        if last and schedule.get("type") != "LinearLR" and 0 < end < EARLY * last:
            unit = "epochs" if schedule.get("by_epoch", True) else "steps"
            text = f"{schedule['type']} ends after {end} of {last} {unit}, and the rate stays at its lowest"
            wish = "--epochs" if unit == "epochs" else "--max-steps"
            yield Finding("note", "schedule", f"{text}: {wish} {last} stretches it")


def batch_norm(cfg: Config, batch: int, processes: int) -> Iterator[Finding]:
    """Whether the backbone's BatchNorm sees enough images at a time."""
    backbone: Mapping = cfg.model.get("backbone") or {}
    norm: Mapping = backbone.get("norm_cfg") or {"type": "BN"}
    if backbone.get("type") != "MaxViT" or backbone.get("norm_eval"):
        return
    together = batch * (processes if norm.get("type") == "SyncBN" else 1)
    text = f"{norm.get('type')} takes its statistics of {together} images at a time"
    if together >= FEW:
        yield Finding("ok", "BatchNorm", text)
        return
    way = "with converted weights, model.backbone.norm_eval=True keeps theirs"
    several = (
        ""
        if norm.get("type") == "SyncBN" or processes == 1
        else ", and norm_cfg.type=SyncBN counts all processes"
    )
    yield Finding("note", "BatchNorm", f"{text}, and is less exact below {FEW}: {way}{several}")


def costly_findings(cfg: Config, gpus: list[int]) -> Iterator[Finding]:
    """What takes seconds: whether the detector builds, its weights fit, a step fits the GPU, what runs.

    Args:
        gpus: memory of each GPU, in bytes; empty where there is none.
    """
    try:
        detector = build(cfg)
    except Exception as error:  # MMEngine's registries raise whatever a part's constructor does
        yield Finding("problem", "model", f"it cannot be built: {error}")
        return
    trained = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    yield Finding(
        "ok", "model", f"{type(detector).__name__}, {trained / 1e6:.1f} million parameters to train"
    )
    yield from weights(cfg, detector)
    yield from memory(cfg, gpus)
    yield from implementations(cfg, "cuda" if gpus and torch.cuda.is_available() else "cpu")


def weights(cfg: Config, detector: nn.Module) -> Iterator[Finding]:
    """Whether the files that the training starts from fit, and agree on classes and normalisation."""
    backbone: Mapping = cfg.model.get("backbone") or {}
    source = (backbone.get("init_cfg") or {}).get("checkpoint")
    if source:
        try:
            network: Any = MODELS.build(deepcopy(backbone))
            network.init_weights()
        except (CheckpointError, SystemExit, ValueError) as error:
            yield Finding("problem", "weights", str(error))
        else:
            yield Finding("ok", "weights", f"{source} fits the backbone in every tensor")
            preprocessor = MODELS.build(deepcopy(cfg.model.get("data_preprocessor")))
            for problem in normalization_problems(getattr(network, "pretrained", {}), preprocessor):
                yield Finding("problem", "normalisation", problem)
    if cfg.get("load_from"):
        yield from starting_detector(cfg, detector, str(cfg.load_from))


def starting_detector(cfg: Config, detector: nn.Module, source: str) -> Iterator[Finding]:
    try:
        checkpoint = CheckpointLoader.load_checkpoint(source, map_location="cpu", logger="silent")
        differs = check_detector(detector, checkpoint, source, other_heads=not cfg.get("resume"))
    except CheckpointError as error:
        yield Finding("problem", "weights", str(error))
        return
    level = "note" if differs else "ok"
    yield Finding(
        level, "weights", f"{source} fits {'in part: ' + differs if differs else 'in every tensor'}"
    )
    dataset = (cfg.get("train_dataloader") or {}).get("dataset") or {}
    theirs, own = classes_of_checkpoint(checkpoint), (dataset.get("metainfo") or {}).get("classes")
    if theirs and own and list(theirs) != list(own):
        yield Finding("problem" if cfg.get("resume") else "note", "classes", difference(theirs, own))


def implementations(cfg: Config, device: str) -> Iterator[Finding]:
    """Which implementation each method of MaxViT's layers will take, on small images."""
    backbone = deepcopy(cfg.model.get("backbone") or {})
    if backbone.get("type") != "MaxViT":
        return
    backbone["init_cfg"] = None
    network: Any = MODELS.build(backbone).to(device)
    images = torch.zeros(2, 3, 224, 224, device=device)
    for mode, grad in (("training", True), ("inference", False)):
        with torch.set_grad_enabled(grad):
            rows = report(network.train(grad), images)
        runs = {
            seam: sorted({row.runs for row in rows if row.seam == seam}) for seam in (r.seam for r in rows)
        }
        text = ", ".join(f"{seam} {' or '.join(names)}" for seam, names in runs.items())
        yield Finding("ok", "kernels", f"{mode} on {device}: {text}")
