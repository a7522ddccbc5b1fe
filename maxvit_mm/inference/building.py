"""A trained model and its test pipeline, built from a config and a checkpoint, without a data set."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.transforms import Compose, LoadAnnotations
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.registry import MODELS, TRANSFORMS

from ..openmmlab.backbone import MaxViT
from ..openmmlab.quiet import quiet_libraries
from ..openmmlab.tasks import enter_scope, task_of
from ..weights import load_detector


def device_of(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ValueError(f"there is no device {name}: take cpu, cuda or cuda:0") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{device} needs a GPU, and PyTorch sees none here: take cpu")
    return device


def build_detector(
    cfg: Config, source: str, checkpoint: dict[str, Any], score_thr: float, tta: bool, deploy: bool
) -> BaseModel:
    """The model of a config with all weights of a checkpoint, in eval mode, on the CPU.

    Args:
        checkpoint: what was loaded from `source`.
        score_thr: below it nothing is needed.
        tta: build it into a model that merges an image's and its mirror image's results.
        deploy: fold the backbone's BatchNorms.

    Raises:
        CheckpointError: names every tensor that does not fit.
    """
    enter_scope(cfg)
    raise_thresholds(cfg.model.get("test_cfg"), score_thr)
    if cfg.get("data_preprocessor"):  # as MMEngine's runner has it, for MMPretrain
        cfg.model.setdefault("data_preprocessor", cfg.data_preprocessor)
    if cfg.model.get("backbone"):
        cfg.model.backbone.init_cfg = None  # the checkpoint's weights follow
    if cfg.model.get("pretrained"):
        cfg.model.pretrained = None
    with quiet_libraries():
        model = revert_sync_batchnorm(MODELS.build(cfg.model))
    load_detector(model, source, checkpoint)
    if deploy:
        for backbone in (module for module in model.modules() if isinstance(module, MaxViT)):
            backbone.eval().switch_to_deploy()
    if tta:
        model = MODELS.build(dict(**task_of(cfg).tta_model(cfg), module=model))
    return model.eval()


def pipeline_of(cfg: Config, tta: bool) -> Compose:
    """The config's own test pipeline for images that are decoded already, without annotations."""
    enter_scope(cfg)
    steps = [step for step in get_test_pipeline_cfg(cfg) if not reads_truth(step["type"])]
    if tta:
        steps = [*task_of(cfg).tta_pipeline(cfg, steps)]
    steps[0] = {**steps[0], "type": "mmdet.LoadImageFromNDArray"}
    return Compose(steps)


def reads_truth(kind: str | type) -> bool:
    """Whether a step of a pipeline, by its type, reads annotations: boxes, masks or label images."""
    step = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return isinstance(step, type) and issubclass(step, LoadAnnotations)


def raise_thresholds(test_cfg: Any, score_thr: float) -> None:
    """Have the heads leave out early, before masks are made, what is left out in the end."""
    for part in (test_cfg, (test_cfg or {}).get("rcnn")):
        if isinstance(part, dict) and isinstance(part.get("score_thr"), float | int):
            part["score_thr"] = max(part["score_thr"], score_thr)
