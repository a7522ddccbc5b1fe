"""Semantic segmentation, by MMSegmentation: a class for each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ...data.folder import DataError, Folder
from ...data.survey import Survey
from ..titles import draw_with
from .task import Task

PICTURES = "maxvit_mm.openmmlab.semantic_pictures."
TITLED = {
    "SegVisualizationHook": PICTURES + "TitledMapsHook",
    "SegLocalVisualizer": PICTURES + "TitledMapsVisualizer",
}


class Segmentation(Task):
    name, scope, trained = "segmentation", "mmseg", "segmenter"

    def inspect(self, root: Path, cfg: Config, splits: Sequence[str]) -> Folder:
        raise DataError("--data is not read for segmentation yet")

    def find_split(self, root: Path, name: str) -> Path | None:
        return None

    def point(self, cfg: Config, folder: Folder) -> None:
        raise DataError("--data is not read for segmentation yet")

    def survey(self, cfg: Config, folder: Folder | None) -> Survey | None:
        return None

    def complete(self, cfg: Config) -> None:
        """Nothing that MMSegmentation's parts do not see to."""

    def title_pictures(self, cfg: Config) -> None:
        draw_with(cfg, TITLED)

    def draw_test(self, cfg: Config, show: bool, folder: str | None, seconds: float) -> None:
        hook = cfg.setdefault("default_hooks", {}).setdefault("visualization", {})
        hook.setdefault("type", TITLED["SegVisualizationHook"])
        hook.update(draw=True, interval=1)
        if show:
            hook.update(show=True, wait_time=seconds)
        if folder is not None:
            hook["test_out_dir"] = folder

    def tta_model(self, cfg: Config) -> dict[str, Any]:
        return dict(type="SegTTAModel")
