"""Point a detector's config at a COCO folder: its datasets, its evaluators, every place that counts classes.

point_config_at(cfg, inspect(Path("data/fish"), masks=True))
"""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from ..data.coco_folder import CocoFolder, DataError, Split
from ..data.left_out import Filter
from .coco_by_name import by_name
from .loaders import (
    FEEDS,
    count_classes,
    dataset_configs,
    datasets_of,
    draw_some,
    evaluators_of,
    palette_of,
    set_all,
)

# Parts of the names of what reads other annotations; a dataset of other classes is replaced.
ALIEN = ("Panoptic", "VOCMetric", "CityScapesMetric", "LVISMetric", "OpenImagesMetric")


def point_config_at(cfg: Config, folder: CocoFolder) -> None:
    """Make `cfg` train and evaluate on `folder`, in place; pipelines and filters stay as they are.

    Raises `DataError` where the config's annotations or metric are others, or where it has no
    dataset or class count to set.
    """
    if not count_classes(cfg.model, len(folder.classes)):
        raise DataError("the config's model has no num_classes: its head cannot be made to fit")
    evaluated = [split for name, split in folder.splits.items() if name != "train"]
    if evaluated:
        draw_some(cfg, evaluated[0].images)
    for name, split in folder.splits.items():
        for role in FEEDS[name]:
            datasets, evaluators = datasets_of(cfg, role), evaluators_of(cfg, role)
            if any(not dataset.get("ann_file") for dataset in datasets):
                raise DataError(f"the config's {role}_dataloader has no dataset with an ann_file")
            for part in (*datasets, *evaluators):
                if any(sign in str(part["type"]) for sign in ALIEN):
                    raise DataError(
                        f"{part['type']} cannot read the COCO instances in {folder.root}; take a "
                        "config for detection or instance segmentation, evaluated by CocoMetric"
                    )
            for dataset in datasets:
                set_all(dataset, settings_of(folder, split))
            for evaluator in evaluators:
                if evaluator.get("ann_file"):
                    evaluator["ann_file"] = str(split.annotation_file)
                if "CocoMetric" in str(evaluator["type"]):
                    evaluator.setdefault("classwise", True)
    read_by_name(cfg)


def read_by_name(cfg: Config) -> None:
    """Have COCO's files read by the names of classes, in place."""
    for role in ("train", "val", "test"):
        for part in (*dataset_configs(cfg.get(f"{role}_dataloader")), *evaluators_of(cfg, role)):
            if isinstance(part.get("type"), str):
                part["type"] = by_name(part["type"].removeprefix("mmdet."))


def filter_of(cfg: Config) -> Filter:
    """What the config leaves out of the training."""
    for dataset in dataset_configs(cfg.get("train_dataloader")):
        only = dataset.get("filter_cfg") or {}
        return Filter(bool(only.get("filter_empty_gt", False)), int(only.get("min_size", 0)))
    return Filter()


def most_per_image(cfg: Config) -> int | None:
    """How many objects the config finds in an image at most; None where it does not say."""
    settings = cfg.model.get("test_cfg") or {}
    most = (settings.get("rcnn") or settings).get("max_per_img")
    return most if isinstance(most, int) else None


def settings_of(folder: CocoFolder, split: Split) -> dict[str, Any]:
    """What makes a CocoDataset read `split`; paths are below the root."""
    images = split.image_folder.relative_to(folder.root).as_posix()
    return {
        "type": "CocoDataset",
        "data_root": str(folder.root),
        "ann_file": split.annotation_file.relative_to(folder.root).as_posix(),
        "data_prefix": {"img": "" if images == "." else images},
        "metainfo": {"classes": folder.classes, "palette": palette_of(len(folder.classes))},
    }
