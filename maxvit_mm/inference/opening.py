"""A checkpoint, opened for use: its config, classes and decoder, held against a config that is given."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader

from ..data.images_on_disk import Decoder
from ..openmmlab.differing import differences
from ..openmmlab.loaders import decoder_of
from ..openmmlab.own_config import config_of_checkpoint
from ..openmmlab.shipped_configs import find_config
from ..openmmlab.task_packages import read_config
from ..openmmlab.tasks import enter_scope
from ..weights import CheckpointError
from .building import build_detector
from .exporting.reading import is_onnx
from .exporting.running import build_onnx
from .known_classes import Classes, classes_for


class Opened(NamedTuple):
    """What a checkpoint says of the model that it holds.

    Attributes:
        source: the file, as it was named.
        checkpoint: what was loaded from it.
        config: a copy of the config that was given, or the checkpoint's own.
        classes: those that it was trained on.
        decoder: reads image files as the test pipeline would.
        differences: what a config that was given does otherwise than the checkpoint's own, a line for each.
    """

    source: str
    checkpoint: dict[str, Any]
    config: Config
    classes: Classes
    decoder: Decoder
    differences: Sequence[str]

    def build(self, score_thr: float = 0.0, tta: bool = False, deploy: bool = False) -> BaseModel:
        """The model with its weights, in evaluation mode, on the CPU; see `build_detector`.

        Of an ONNX file, one that ONNX Runtime runs, with the `score_thr` that it was exported with.
        """
        config = deepcopy(self.config)  # MMDetection writes into what it builds from
        if is_onnx(self.source):
            return build_onnx(config, self.source, tta)
        return build_detector(config, self.source, self.checkpoint, score_thr, tta, deploy)


def open_checkpoint(checkpoint: str | Path, config: str | Path | Config | None = None) -> Opened:
    """Read a checkpoint of `tools/train.py`, or an ONNX file of `tools/export.py`.

    Args:
        config: a config file, the name of one of ours, or a `Config`; without it, the checkpoint's own.

    Raises:
        CheckpointError: where the checkpoint cannot be used, or does not fit the config, and says why.
        ImportError: where the config is for a framework that is not installed; says what to install.
    """
    source = str(checkpoint)
    loaded = CheckpointLoader.load_checkpoint(source, map_location="cpu", logger="silent")
    cfg = config_for(config, source, loaded)
    enter_scope(cfg)  # where its data set is looked up
    classes = classes_for(cfg, source, loaded, is_own=config is None)
    decoder = decoder_of(Config(dict(test_dataloader=cfg.get("test_dataloader"))))
    others = [] if config is None else from_own(cfg, source, loaded)
    return Opened(source, loaded, cfg, classes, decoder, others)


def config_for(config: str | Path | Config | None, source: str, checkpoint: dict[str, Any]) -> Config:
    if config is None:
        return config_of_checkpoint(source, checkpoint)
    return config.copy() if isinstance(config, Config) else read_config(find_config(str(config)))


def from_own(cfg: Config, source: str, checkpoint: dict[str, Any]) -> list[str]:
    """What a config does otherwise than the checkpoint's own; nothing where that has none."""
    try:
        return differences(cfg, config_of_checkpoint(source, checkpoint))
    except CheckpointError:
        return []
