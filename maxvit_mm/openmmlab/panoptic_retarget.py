"""Point a panoptic config at a folder: its datasets, its evaluators, every place that counts classes."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from ..data.folder import DataError
from ..data.panoptic_folder import PanopticFolder, PanopticSplit
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
from .retarget import read_by_name


def is_panoptic(cfg: Config) -> bool:
    """Whether a config reads panoptic maps."""
    loader = cfg.get("train_dataloader") or cfg.get("test_dataloader")
    return any("Panoptic" in str(dataset.get("type")) for dataset in dataset_configs(loader))


def point_at_panoptic(cfg: Config, folder: PanopticFolder) -> None:
    """Make `cfg` train and evaluate on `folder`, in place; pipelines and filters stay as they are.

    Raises:
        DataError: where the config's metric is another one, or it has no class count to set.
    """
    if not count_classes(cfg.model, len(folder.things), len(folder.stuff)):
        raise DataError("the config's model has no num_classes: its heads cannot be made to fit")
    evaluated = [split for name, split in folder.splits.items() if name != "train"]
    if evaluated:
        draw_some(cfg, evaluated[0].images)
    for name, split in folder.splits.items():
        for role in FEEDS[name]:
            for dataset in datasets_of(cfg, role):
                set_all(dataset, settings_of(folder, split))
            for evaluator in evaluators_of(cfg, role):
                if "Panoptic" not in str(evaluator["type"]):
                    raise DataError(
                        f"{evaluator['type']} cannot evaluate the panoptic maps of {folder.root}; take a "
                        "config that is evaluated by CocoPanopticMetric alone"
                    )
                files = {"ann_file": str(split.annotation_file), "seg_prefix": str(split.map_folder)}
                set_all(evaluator, {**files, "classwise": evaluator.get("classwise", True)})
    read_by_name(cfg)


def settings_of(folder: PanopticFolder, split: PanopticSplit) -> dict[str, Any]:
    """What makes a CocoPanopticDataset read `split`; paths are below the root."""
    parts = (split.annotation_file, split.image_folder, split.map_folder)
    file, images, maps = (part.relative_to(folder.root).as_posix() for part in parts)
    return {
        "type": "CocoPanopticDataset",
        "data_root": str(folder.root),
        "ann_file": file,
        "data_prefix": {"img": "" if images == "." else images, "seg": maps},
        "metainfo": {
            "classes": folder.classes,
            "thing_classes": folder.things,
            "stuff_classes": folder.stuff,
            "palette": palette_of(len(folder.classes)),
        },
    }
