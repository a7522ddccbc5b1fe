"""Boxes, masks and panoptic maps, by MMDetection: data in COCO's formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.evaluator.metric import BaseMetric

from ...data.coco_folder import CocoFolder, find_annotations, inspect
from ...data.panoptic_folder import PanopticFolder, find_panoptic, inspect_panoptic
from ...data.survey import Survey, survey
from ..loaders import dataset_configs, decoder_of
from ..mirrored import DETECTION, mirrored
from ..panoptic_retarget import is_panoptic, point_at_panoptic
from ..retarget import filter_of, most_per_image, point_config_at, read_by_name
from .task import Task

PICTURES = "maxvit_mm.openmmlab.pictures."


class Detection(Task):
    name, scope, trained = "detection", "mmdet", "detector"
    titled = {  # noqa: RUF012  (never changed)
        "DetVisualizationHook": PICTURES + "TitledPicturesHook",
        "DetLocalVisualizer": PICTURES + "TitledVisualizer",
    }

    def inspect(self, root: Path, cfg: Config, splits: Sequence[str]) -> CocoFolder | PanopticFolder:
        if is_panoptic(cfg):
            return inspect_panoptic(root, splits, decoder_of(cfg))
        return inspect(root, trains_masks(cfg), splits, decoder_of(cfg), filter_of(cfg))

    def look(self, root: Path) -> CocoFolder | PanopticFolder:
        if not find_annotations(root, "train") and find_panoptic(root, "train"):
            return inspect_panoptic(root)
        return inspect(root, masks=True)

    def find_split(self, root: Path, name: str) -> Path | None:
        return find_annotations(root, name) or find_panoptic(root, name)

    def point(self, cfg: Config, folder: Any) -> None:
        if isinstance(folder, PanopticFolder):
            point_at_panoptic(cfg, folder)
        else:
            point_config_at(cfg, folder)

    def survey(self, cfg: Config, folder: Any) -> Survey | None:
        file = annotations_of(cfg) if folder is None else folder.splits["train"].annotation_file
        if file is None or not file.is_file():
            return None
        try:
            return survey(file, filter_of(cfg), folder and folder.classes)
        except (KeyError, TypeError, ValueError) as error:
            raise SystemExit(f"{file} is no annotation file in COCO's format: {error!r}") from error

    def notes(self, cfg: Config, folder: Any) -> Iterator[str]:
        key = "rcnn." if (cfg.model.get("test_cfg") or {}).get("rcnn") else ""
        most = most_per_image(cfg)
        fullest = {name: split.most for name, split in folder.splits.items() if name != "train"}
        for name, count in fullest.items():
            if most is not None and count > most:
                yield (
                    f"{name} has an image of {count} objects, and the config finds {most} an image at most:"
                    f" --cfg-options model.test_cfg.{key}max_per_img={2 * count}"
                )

    def complete(self, cfg: Config) -> None:
        read_by_name(cfg)

    def record(self, file: str) -> BaseMetric:
        from mmdet.evaluation import DumpDetResults

        return DumpDetResults(out_file_path=file)

    def tta_model(self, cfg: Config) -> dict[str, Any]:
        from ..tta import tta_model_of

        return tta_model_of(cfg)

    def tta_pipeline(self, cfg: Config, pipeline: Sequence[Any]) -> Sequence[Any]:
        return cfg.get("tta_pipeline") or mirrored(pipeline, DETECTION)


def annotations_of(cfg: Config) -> Path | None:
    """The annotation file that a config trains on."""
    for dataset in dataset_configs(cfg.get("train_dataloader")):
        if dataset.get("ann_file"):
            return Path(str(dataset.get("data_root") or ""), dataset["ann_file"])
    return None


def trains_masks(cfg: Config) -> bool:
    """Whether the training data must have masks: its pipeline loads them."""
    loader = cfg.get("train_dataloader") or cfg.get("test_dataloader") or Config()
    return "'with_mask': True" in str(loader.to_dict())
