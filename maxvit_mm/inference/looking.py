"""A trained model that keeps what its attention layers were given, and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from ..network import Trunk
from ..network.trunk import SMALLEST_IMAGE
from ..openmmlab.backbone import MaxViT
from ..openmmlab.class_names import listed
from ..weights import refuse_exported
from .attention import SeenBlock, watching
from .building import device_of, pipeline_of
from .evidence import Box, Evidence, Found, evidence_in, result_of
from .gradients import following, grad_cam, receptive_field
from .opening import open_checkpoint


class Looked(NamedTuple):
    """An image that went through.

    Attributes:
        image: [height, width, 3] in BGR.
        data: what the test pipeline made of it.
        scale: pixels of the network for one of the image, across and down.
        found: objects, regions or classes, best first.
        stages: the blocks of each stage.
        offset: what was cut off at the left and top, in the network's pixels.
        evidence: of which kind `found` is.
    """

    image: np.ndarray
    data: dict[str, Any]
    scale: tuple[float, float]
    found: list[Found]
    stages: list[list[SeenBlock]]
    offset: tuple[float, float]
    evidence: Evidence


class Looker:
    """A model whose attention and gradients can be read.

    >>> looker = Looker.from_checkpoint("work_dirs/mine/iter_1000.pth")
    >>> looked = looker.look(image)
    >>> looker.gradient(looked, looked.found[0], stage=2)

    Args:
        model: a detector, segmenter or classifier in evaluation mode; its parameters are told to ask for no
            gradient.
        pipeline: prepares images that are decoded already.
        names: of its classes.
        decoder: reads image files as the test pipeline would; without it, OpenCV does.

    Attributes:
        differences: what a config that was given does otherwise than the checkpoint's own.

    Raises:
        ValueError: for a model on another backbone.
    """

    differences: Sequence[str] = ()

    def __init__(
        self, model: BaseModel, pipeline: Compose, names: Sequence[str], decoder: Decoder | None = None
    ):
        backbones = [module for module in model.modules() if isinstance(module, MaxViT)]
        if not backbones:
            raise ValueError("this model has no MaxViT, whose attention could be shown")
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

    def look(self, image: np.ndarray, score_thr: float | None = None, name: str | None = None) -> Looked:
        """Find objects, regions or classes in an image, and keep what the attention layers were given.

        Args:
            score_thr: the lowest score; without it, what suits the kind of result.
            name: of a class, to look for it alone, at any score.

        Raises:
            ValueError: for an image that is too small for the network, and for a class that is not there.
        """
        if name is not None and name not in self.names:
            raise ValueError(f"there is no class {name}; there are {listed(self.names)}")
        data = self.prepare(image)
        with torch.no_grad(), watching(self.trunk) as stages, counting(self.trunk) as times:
            sample = result_of(self.model, data)
        if len(times) > 1:
            raise ValueError(
                "the network sees this image through a sliding window, and its attention is of one window: "
                "name a config with model.test_cfg.mode='whole' before the checkpoint"
            )
        evidence, scale = evidence_in(sample), scale_of(data)
        offset = offset_of(image, data, scale)
        found = evidence.found(sample, self.names, view_of(image, data, scale, offset))
        least = evidence.lowest if score_thr is None else score_thr
        kept = [each for each in found if (each.score >= least if name is None else each.name == name)]
        most = evidence.most if name is None else None
        return Looked(image, data, scale, kept[:most], stages, offset, evidence)

    def prepare(self, image: np.ndarray) -> dict[str, Any]:
        data = self.pipeline(dict(img=np.ascontiguousarray(image), img_id=0))
        seen = min(data["inputs"].shape[-2:])
        if seen < SMALLEST_IMAGE:
            raise ValueError(
                f"the network sees {seen} pixels along a side of this image, and takes {SMALLEST_IMAGE} or "
                "more: take a larger image"
            )
        return data

    def gradient(self, looked: Looked, found: Found, stage: int, whole_map: bool = True) -> Tensor:
        """Grad-CAM, or HiResCAM, of what speaks for something on a stage's map, [height, width]."""
        with following(self.trunk, stage) as maps:
            value = looked.evidence.value(self.model, looked.data, found)
        if not value.requires_grad:
            raise ValueError(
                f"this {looked.evidence.trained}'s scores cannot be differentiated: there is no gradient map"
            )
        return grad_cam(value, maps[0], whole_map)

    def field(self, looked: Looked, weights: Tensor, stage: int) -> Tensor:
        """The effective receptive field of a stage's places, in pixels as the network sees them."""
        inputs = self.model.data_preprocessor(pseudo_collate([looked.data]), False)["inputs"]
        return receptive_field(self.trunk, inputs, stage, weights)


def scale_of(data: dict[str, Any]) -> tuple[float, float]:
    across, down = data["data_samples"].metainfo.get("scale_factor", (1.0, 1.0))[:2]
    return float(across), float(down)


def offset_of(image: np.ndarray, data: dict[str, Any], scale: tuple[float, float]) -> tuple[float, float]:
    """What is cut off at the left and top, in the network's pixels, where the centre is cut out."""
    height, width = data["inputs"].shape[-2:]
    left, top = (
        max(0, round((side * each - seen) / 2))
        for side, each, seen in zip(image.shape[1::-1], scale, (width, height), strict=True)
    )
    return left, top


def view_of(
    image: np.ndarray, data: dict[str, Any], scale: tuple[float, float], offset: tuple[float, float]
) -> Box:
    """What the network sees of an image, in the image's pixels."""
    seen = data["inputs"].shape[:-3:-1]
    left, top = (cut / each for cut, each in zip(offset, scale, strict=True))
    right, bottom = (
        min(float(side), start + wide / each)
        for side, start, wide, each in zip(image.shape[1::-1], (left, top), seen, scale, strict=True)
    )
    return left, top, right, bottom


@contextmanager
def counting(trunk: Trunk) -> Iterator[list[None]]:
    """Within it, the list grows by one whenever images go through."""
    times: list[None] = []
    handle = trunk.register_forward_pre_hook(lambda *_: times.append(None))
    try:
        yield times
    finally:
        handle.remove()
