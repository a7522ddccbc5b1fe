"""The memory of a training step, held against a GPU's, and what would make it fit."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple

import torch
from mmengine.config import Config

from .config_cost import build, image_size, padded
from .cost import STATES, held, training_bytes

GIB = 2**30


class Finding(NamedTuple):
    """A line: `level` is 'ok', 'note' or 'problem'; a problem will make the training fail."""

    level: str
    about: str
    text: str


class Need(NamedTuple):
    """Bytes of a training: what it holds whatever the images, and for each image."""

    fixed: int
    each: int

    def of(self, batch: int) -> int:
        return self.fixed + batch * self.each


def need(cfg: Config, shape: tuple[int, int], optimizer: str, low: bool) -> Need:
    """Counted as `tools/summary.py` does; `low`: with maps in bf16, as in mixed precision."""
    detector = build(cfg)
    averages = has_average(cfg)
    trained = [p for p in detector.parameters() if p.requires_grad]
    numbers = sum(p.numel() for p in trained)
    fixed = held(detector) * (2 if averages else 1) + 4 * numbers * (1 + STATES[optimizer])
    if low:
        detector = detector.to(torch.bfloat16)
    kept = held(detector) * (2 if averages else 1)
    kept += 4 * STATES[optimizer] * numbers + sum(p.numel() * p.element_size() for p in trained)
    return Need(fixed, max(0, training_bytes(detector, *shape, optimizer, averages) - kept))


def memory(cfg: Config, gpus: list[int]) -> Iterator[Finding]:
    """What a step needs against the smallest GPU, and what would make it fit."""
    optimizer = ((cfg.get("optim_wrapper") or {}).get("optimizer") or {}).get("type")
    shape, batch = shape_of(cfg), (cfg.get("train_dataloader") or {}).get("batch_size", 1)
    if not gpus:
        yield Finding(
            "note", "GPU", "PyTorch sees none here: training will take the CPU, days instead of hours"
        )
        return
    if shape is None or optimizer not in STATES:
        yield Finding("note", "memory", "not counted: neither the size of images nor the optimizer is known")
        return
    low = (cfg.get("optim_wrapper") or {}).get("type") == "AmpOptimWrapper"
    there, now = min(gpus), need(cfg, shape, optimizer, low)
    what = f"{batch} images of {shape[0]} x {shape[1]}{' in mixed precision' if low else ''}"
    text = f"a step of {what} needs {size(now.of(batch))}, the GPU has {size(there)}"
    # CUDA itself and kernels take some, and the allocator leaves some unused.
    if now.of(batch) <= 0.9 * there:
        yield Finding("ok", "memory", text)
        return
    ways = [
        f"{key}: {size(bytes_)}"
        for key, bytes_ in cheaper(cfg, shape, optimizer, low, now)
        if bytes_ <= there
    ]
    way = (
        "; ".join(ways)
        or "none of with_cp, mixed precision and one image a step is enough: take a smaller config"
    )
    yield Finding("problem" if now.of(batch) > there else "note", "memory", f"{text}. What fits: {way}")


def cheaper(
    cfg: Config, shape: tuple[int, int], optimizer: str, low: bool, now: Need
) -> Iterator[tuple[str, int]]:
    """Ways to need less memory, each with the bytes that it leaves."""
    batch = (cfg.get("train_dataloader") or {}).get("batch_size", 1)
    for fewer in sorted({batch // 2, 1} - {0, batch}, reverse=True):
        yield f"train_dataloader.batch_size={fewer}", now.of(fewer)
    if not low:
        yield "--amp", need(cfg, shape, optimizer, True).of(batch)
    if cfg.model.backbone.get("type") == "MaxViT" and not cfg.model.backbone.get("with_cp"):
        saving = deepcopy(cfg)
        saving.model.backbone.with_cp = True
        spared = need(saving, shape, optimizer, low)
        yield "model.backbone.with_cp=True", spared.of(batch)
        if batch > 1:
            yield "both with_cp=True and batch_size=1", spared.of(1)


def has_average(cfg: Config) -> bool:
    return any(hook.get("type") == "EMAHook" for hook in cfg.get("custom_hooks") or [])


def shape_of(cfg: Config) -> tuple[int, int] | None:
    """Height and width of a padded image of the config, None where its images keep their own size."""
    try:
        return padded(cfg, image_size(cfg, ""))
    except SystemExit:
        return None


def size(number: int) -> str:
    """Bytes for a reader."""
    return f"{number / GIB:.1f} GiB" if number >= GIB / 10 else f"{number / 2**20:.1f} MiB"
