"""A training step of Mask R-CNN on photographs of mixed sizes, on our backbone and on Swin-T."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DATASETS, DefaultScope

from ..data.coco_folder import inspect
from ..openmmlab.fused import fuse
from ..openmmlab.image_size import set_scale
from ..openmmlab.late import read_norms_late
from ..openmmlab.loaders import dataset_configs, decoder_of
from ..openmmlab.retarget import filter_of, point_config_at
from ..openmmlab.shipped_configs import find_config
from .breakdown import parts_of_a_step
from .timing import DTYPES, seconds_of

CONFIG = "mask_rcnn_maxvit_t_coco"
BACKBONES: dict[str, dict[str, Any]] = {
    "maxvit_mm": dict(),
    "Swin-T (mmdet)": dict(
        backbone=dict(_delete_=True, type="SwinTransformer", drop_path_rate=0.2),
        neck=dict(in_channels=[96, 192, 384, 768]),
    ),
}


LEAST = 3  # steps that are timed, however long they take
# While a detector is built and runs; what follows is not to need MMDetection.
in_its_scope = DefaultScope.overwrite_default_scope("mmdet")


@in_its_scope
def step_times(
    cfg: Config, batches: Sequence[Any], names: Sequence[str], device: str, dtype: str, most: float = math.inf
) -> dict[str, list[float]]:
    """Seconds of the first steps of a training, for each backbone, without the very first, which sets up.

    Nearly every step meets a size that was not seen before. Reading images is not timed. A step is the
    forward and the backward pass, and the optimizer's.

    Args:
        cfg: of `config_on`.
        batches: of `batches_of`; a step each.
        dtype: 'fp32', or 'bf16' for mixed precision.
        most: seconds for each backbone, after which no other step is begun. All get as many steps.
    """
    found: dict[str, list[float]] = {}
    for name in names:
        model, optimizer = built(cfg, name, device, dtype)
        run = partial(model.train_step, optim_wrapper=optimizer)
        found[name] = []
        for data in batches:
            if sum(found[name]) > most and len(found[name]) > LEAST:
                break
            found[name].append(seconds_of(partial(run, data), device))
    fewest = min(map(len, found.values()))
    return {name: times[1:fewest] for name, times in found.items()}


@in_its_scope
def parts_of_steps(
    cfg: Config, batches: Sequence[Any], names: Sequence[str], device: str, dtype: str
) -> dict[str, list[dict[str, float]]]:
    """Seconds of each part of a step, a dict of `parts_of_a_step` each, for each backbone.

    Each batch is a step of warming up before, so that no size is new.
    """
    found = {}
    for name in names:
        model, optimizer = built(cfg, name, device, dtype)
        for data in batches:
            model.train_step(data, optimizer)
        found[name] = [parts_of_a_step(model, optimizer, data, device) for data in batches]
    return found


def config_on(folder: Path, scale: Any) -> Config:
    cfg = Config.fromfile(find_config(CONFIG))
    point_config_at(cfg, inspect(folder, True, ["train"], decoder_of(cfg), filter_of(cfg)))
    if scale is not None:
        set_scale(cfg, scale)
    return cfg


@in_its_scope
def batches_of(cfg: Config, batch: int, count: int) -> tuple[list[dict[str, Any]], list[float]]:
    """The first images of the training, as its pipeline prepares them; after the last, from the first.

    Returns:
        The batches, and the seconds that one process took to read and prepare each.
    """
    torch.manual_seed(0)
    dataset = DATASETS.build(next(iter(dataset_configs(cfg.train_dataloader))))
    items = (dataset[number % len(dataset)] for number in range(batch * count))
    batches, seconds = [], []
    for _ in range(count):
        start = time.perf_counter()
        batches.append(pseudo_collate(list(islice(items, batch))))
        seconds.append(time.perf_counter() - start)
    return batches, seconds


@in_its_scope
def built(cfg: Config, name: str, device: str, dtype: str) -> tuple[Any, OptimWrapper]:
    """A detector in training, with the optimizer of the config, as `tools/train.py` runs it.

    A CPU, which rehearses, trains in fp32.
    """
    torch.manual_seed(0)
    cfg = deepcopy(cfg)
    # A copy, as `_delete_` is taken out of what is merged.
    cfg.merge_from_dict(dict(model=deepcopy(BACKBONES[name])))
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(device).train()
    wrapper = cfg.optim_wrapper
    if device == "cuda" and DTYPES[dtype] is not torch.float32:
        wrapper = {**wrapper, "type": "AmpOptimWrapper", "dtype": "bfloat16"}
    logging.disable(logging.INFO)  # a line for each parameter
    try:
        optimizer = build_optim_wrapper(model, wrapper)
    finally:
        logging.disable(logging.NOTSET)
    fuse(optimizer.optimizer)
    read_norms_late(optimizer)
    return model, optimizer
