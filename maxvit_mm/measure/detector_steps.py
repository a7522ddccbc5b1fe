"""A training step of Mask R-CNN on photographs of mixed sizes, on our backbone and on Swin-T."""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
from mmengine.registry import DATASETS, init_default_scope

from ..data.coco_folder import inspect
from ..openmmlab.image_size import set_scale
from ..openmmlab.loaders import dataset_configs, decoder_of
from ..openmmlab.retarget import filter_of, point_config_at
from ..openmmlab.shipped_configs import find_config
from .timing import DTYPES, seconds_of

CONFIG = "mask_rcnn_maxvit_t_coco"
BACKBONES: dict[str, dict[str, Any]] = {
    "maxvit_mm": dict(),
    "Swin-T (mmdet)": dict(
        backbone=dict(_delete_=True, type="SwinTransformer", drop_path_rate=0.2),
        neck=dict(in_channels=[96, 192, 384, 768]),
    ),
}


def step_times(
    folder: Path, names: Sequence[str], device: str, dtype: str, batch: int, steps: int, scale: Any = None
) -> dict[str, list[float]]:
    """Seconds of the first steps of a training, for each backbone, without the very first, which sets up.

    Nearly every step meets a size that was not seen before. Reading images is not timed. A step is the
    forward and the backward pass, and the optimizer's.

    Args:
        folder: of images in COCO's layout, as `--data` takes it.
        dtype: 'fp32', or 'bf16' for mixed precision.
        batch: images a step.
        steps: how many are timed.
        scale: the size that images are resized to; without it the config's, 1333 x 800.
    """
    cfg = config_on(folder, scale)
    batches = batches_of(cfg, batch, steps + 1)
    found = {}
    for name in names:
        torch.manual_seed(0)
        model, optimizer = built(cfg, name, device, dtype)
        run = partial(model.train_step, optim_wrapper=optimizer)
        found[name] = [seconds_of(partial(run, data), device) for data in batches][1:]
    return found


def config_on(folder: Path, scale: Any) -> Config:
    cfg = Config.fromfile(find_config(CONFIG))
    point_config_at(cfg, inspect(folder, True, ["train"], decoder_of(cfg), filter_of(cfg)))
    if scale is not None:
        set_scale(cfg, scale)
    return cfg


def batches_of(cfg: Config, batch: int, count: int) -> list[dict[str, Any]]:
    """The first images of the training, as its pipeline prepares them; after the last, from the first."""
    init_default_scope("mmdet")
    torch.manual_seed(0)
    dataset = DATASETS.build(next(iter(dataset_configs(cfg.train_dataloader))))
    items = (dataset[number % len(dataset)] for number in range(batch * count))
    return [pseudo_collate(list(islice(items, batch))) for _ in range(count)]


def built(cfg: Config, name: str, device: str, dtype: str) -> tuple[Any, OptimWrapper]:
    """A detector in training, with the optimizer of the config; a CPU, which rehearses, trains in fp32."""
    cfg = cfg.copy()
    cfg.merge_from_dict(dict(model=BACKBONES[name]))
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(device).train()
    wrapper = cfg.optim_wrapper
    if device == "cuda" and DTYPES[dtype] is not torch.float32:
        wrapper = {**wrapper, "type": "AmpOptimWrapper", "dtype": "bfloat16"}
    logging.disable(logging.INFO)  # a line for each parameter
    try:
        return model, build_optim_wrapper(model, wrapper)
    finally:
        logging.disable(logging.NOTSET)
