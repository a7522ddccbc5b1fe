"""A config made to fit the machine: mixed precision, and several processes without GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import Config


def use_gloo(cfg: Config) -> None:
    """Several processes on CPUs, where MMEngine's own ways insist on a GPU for each."""
    synchronised = [f"{place}.type=BN" for place in places_of("SyncBN", cfg.model, "model")]
    if synchronised:
        raise SystemExit(
            "SyncBN needs a GPU for each process, and PyTorch sees none here: run one process, without "
            f"--launcher, or add --cfg-options {' '.join(synchronised)}"
        )
    torch.distributed.init_process_group("gloo")
    cfg.setdefault("model_wrapper_cfg", dict(type="MMDistributedDataParallel", device_ids=None))


def places_of(kind: str, node: Any, path: str) -> Iterator[str]:
    """Where below `node` a config has `type=kind`, as `--cfg-options` would name it."""
    if isinstance(node, dict) and node.get("type") == kind:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places_of(kind, child, f"{path}.{key}")


def use_float32(cfg: Config) -> None:
    """Where a config asks for mixed precision and there is no GPU, train without, and say so."""
    optim_wrapper: dict = cfg.get("optim_wrapper") or {}
    if optim_wrapper.get("type") == "AmpOptimWrapper":
        optim_wrapper["type"] = "OptimWrapper"
        for key in ("dtype", "loss_scale", "use_fp16"):
            optim_wrapper.pop(key, None)
        if is_first_process():
            print("note: the config's mixed precision needs a GPU, and PyTorch sees none here: using float32")


def use_amp(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise SystemExit("--amp needs a GPU, and PyTorch sees none here: leave it out")
    cfg.optim_wrapper.type = "AmpOptimWrapper"
    cfg.optim_wrapper.setdefault("loss_scale", "dynamic")


def is_first_process() -> bool:
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0


def processes() -> int:
    """Of this training, as its launcher says; 1 without one."""
    counts = (os.environ.get(name) for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"))
    return next((int(count) for count in counts if count), 1)
