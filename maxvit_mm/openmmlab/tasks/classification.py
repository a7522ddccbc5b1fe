"""Image classification, by MMPretrain: a class for each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ...data.folder import DataError, Folder
from ...data.survey import Survey
from ..image_size import Scale, scale_of
from ..titles import draw_with
from .task import Task

TITLED = {"VisualizationHook": "maxvit_mm.openmmlab.class_pictures.TitledClassesHook"}


class Classification(Task):
    name, scope, trained = "classification", "mmpretrain", "classifier"
    from_released = False  # the released weights are what its recipes give

    def inspect(self, root: Path, cfg: Config, splits: Sequence[str]) -> Folder:
        raise DataError("--data is not read for classification yet")

    def find_split(self, root: Path, name: str) -> Path | None:
        return None

    def point(self, cfg: Config, folder: Folder) -> None:
        raise DataError("--data is not read for classification yet")

    def survey(self, cfg: Config, folder: Folder | None) -> Survey | None:
        return None

    def complete(self, cfg: Config) -> None:
        # As MMPretrain's own tools: images of one size are stacked by the workers.
        for role in ("train", "val", "test"):
            if cfg.get(f"{role}_dataloader"):
                cfg[f"{role}_dataloader"].setdefault("collate_fn", dict(type="default_collate"))

    def title_pictures(self, cfg: Config) -> None:
        draw_with(cfg, TITLED)

    def draw_test(self, cfg: Config, show: bool, folder: str | None, seconds: float) -> None:
        hook = cfg.setdefault("default_hooks", {}).setdefault("visualization", {})
        hook.setdefault("type", TITLED["VisualizationHook"])
        hook.update(enable=True, interval=1, show=show)
        if show:
            hook["wait_time"] = seconds
        if folder is not None:
            hook["out_dir"] = folder

    def tta_model(self, cfg: Config) -> dict[str, Any]:
        return dict(type="AverageClsScoreTTA")

    def in_network(self, cfg: Config, width: int, height: int) -> Scale:
        return scale_of(cfg) or (width, height)  # a square is cut out, or images as they are
