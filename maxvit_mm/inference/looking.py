"""A trained detector that keeps what its attention layers were given, and the objects it found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from torch import Tensor

from ..data.images_on_disk import Decoder
from ..network.trunk import SMALLEST_IMAGE
from ..openmmlab.backbone import MaxViT
from ..weights import refuse_exported
from .attention import SeenBlock, watching
from .building import device_of, pipeline_of
from .gradients import following, grad_cam, receptive_field
from .opening import open_checkpoint


class Found(NamedTuple):
    """An object: `box` is left, top, right, bottom in the image's pixels, `label` the number of its class."""

    name: str
    score: float
    box: tuple[float, float, float, float]
    label: int

    @property
    def centre(self) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


class Looked(NamedTuple):
    """An image that went through.

    Attributes:
        image: [height, width, 3] in BGR.
        data: what the test pipeline made of it.
        scale: pixels of the network for one of the image, across and down.
        found: the objects, best first.
        stages: the blocks of each stage.
    """

    image: np.ndarray
    data: dict[str, Any]
    scale: tuple[float, float]
    found: list[Found]
    stages: list[list[SeenBlock]]


class Looker:
    """A detector whose attention and gradients can be read.

    >>> looker = Looker.from_checkpoint("work_dirs/mine/iter_1000.pth")
    >>> looked = looker.look(image)
    >>> looker.gradient(looked, looked.found[0], stage=2)

    Args:
        model: a detector in evaluation mode; its parameters are told to ask for no gradient.
        pipeline: prepares images that are decoded already.
        names: of its classes.
        decoder: reads image files as the test pipeline would; without it, OpenCV does.

    Attributes:
        differences: what a config that was given does otherwise than the checkpoint's own.

    Raises:
        ValueError: for a detector on another backbone.
    """

    differences: Sequence[str] = ()

    def __init__(
        self, model: BaseModel, pipeline: Compose, names: Sequence[str], decoder: Decoder | None = None
    ):
        backbones = [module for module in model.modules() if isinstance(module, MaxViT)]
        if not backbones:
            raise ValueError("this detector has no MaxViT, whose attention could be shown")
        self.backbone = backbones[0]
        self.trunk = self.backbone.trunk
        self.trunk.checkpointing = [False] * len(self.trunk.stages)  # it would hide maps from hooks
        self.model, self.pipeline, self.names = model.requires_grad_(False), pipeline, tuple(names)
        self.decoder = decoder or Decoder()

    @classmethod
    def from_checkpoint(
        cls, checkpoint: str | Path, config: str | Path | Config | None = None, device: str | None = None
    ) -> Looker:
        """Of a checkpoint of `tools/train.py`, with its own config or one that is given.

        Raises:
            CheckpointError: where the checkpoint cannot be used, and says why.
            ValueError: where another argument cannot.
        """
        where, opened = device_of(device), open_checkpoint(checkpoint, config)
        refuse_exported(opened.checkpoint, opened.source)
        pipeline = pipeline_of(opened.config, tta=False)
        looker = cls(opened.build().to(where), pipeline, opened.classes.names, opened.decoder)
        looker.differences = opened.differences
        return looker

    def look(self, image: np.ndarray, score_thr: float = 0.3) -> Looked:
        """Find objects in an image, and keep what the attention layers were given.

        Raises:
            ValueError: for an image that is too small for the network.
        """
        data = self.prepare(image)
        with torch.no_grad(), watching(self.trunk) as stages:
            sample = self.model.test_step(pseudo_collate([data]))[0]
        return Looked(image, data, scale_of(data), self.objects(sample, score_thr), stages)

    def prepare(self, image: np.ndarray) -> dict[str, Any]:
        data = self.pipeline(dict(img=np.ascontiguousarray(image), img_id=0))
        seen = min(data["inputs"].shape[-2:])
        if seen < SMALLEST_IMAGE:
            raise ValueError(
                f"the network sees {seen} pixels along a side of this image, and takes {SMALLEST_IMAGE} or "
                "more: take a larger image"
            )
        return data

    def objects(self, sample: Any, score_thr: float) -> list[Found]:
        """The objects of a result from a score on, best first."""
        if "pred_instances" not in sample:
            raise ValueError("this detector finds no instances with boxes, so there is none to explain")
        instances = sample.pred_instances
        boxes = instances.bboxes.reshape(-1, 4).tolist()
        found = [
            Found(self.names[label], score, tuple(box), label)
            for label, score, box in zip(
                instances.labels.tolist(), instances.scores.tolist(), boxes, strict=True
            )
            if score >= score_thr
        ]
        return sorted(found, key=lambda each: -each.score)

    def gradient(self, looked: Looked, found: Found, stage: int, whole_map: bool = True) -> Tensor:
        """Grad-CAM, or HiResCAM, of an object's score on a stage's map, [height, width]; see `grad_cam`."""
        with following(self.trunk, stage) as maps:
            instances = self.model.test_step(pseudo_collate([looked.data]))[0].pred_instances
            away = (instances.bboxes.reshape(-1, 4) - instances.bboxes.new_tensor(found.box)).abs().sum(1)
            away[instances.labels != found.label] = torch.inf
            score = instances.scores[away.argmin()]
        if not score.requires_grad:
            raise ValueError("this detector's scores cannot be differentiated: there is no gradient map")
        return grad_cam(score, maps[0], whole_map)

    def field(self, looked: Looked, weights: Tensor, stage: int) -> Tensor:
        """The effective receptive field of a stage's places, in pixels as the network sees them."""
        inputs = self.model.data_preprocessor(pseudo_collate([looked.data]), False)["inputs"]
        return receptive_field(self.trunk, inputs, stage, weights)


def scale_of(data: dict[str, Any]) -> tuple[float, float]:
    across, down = data["data_samples"].metainfo.get("scale_factor", (1.0, 1.0))[:2]
    return float(across), float(down)
