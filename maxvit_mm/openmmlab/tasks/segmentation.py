"""Semantic segmentation, by MMSegmentation: a class for each pixel.

A folder has images with label images, or COCO's instances, of which label maps are painted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from mmengine.config import Config

from ...data.coco_folder import find_annotations, inspect, places
from ...data.folder import DataError
from ...data.label_folder import LabelFolder, inspect_labels
from ...data.label_pairs import find_folders, is_voc, looked_for
from ...data.left_out import Filter
from ...data.object_folder import ObjectFolder
from ...data.survey import Survey, survey
from ..image_size import transforms
from ..loaders import (
    FEEDS,
    count_classes,
    dataset_configs,
    datasets_of,
    decoder_of,
    draw_some,
    evaluators_of,
    palette_of,
    replace_all,
)
from .detection import annotations_of
from .task import Task

PICTURES = "maxvit_mm.openmmlab.semantic_pictures."
READ = "maxvit_mm.openmmlab.semantic_datasets."  # a path, for an import takes seconds and an optional package
# Arguments of a dataset that the one in its place takes as well, whatever the folder
KEPT = ("pipeline", "backend_args", "max_refetch", "serialize_data")
METRICS = ("IoUMetric",)  # that evaluate any label maps
ALL_IMAGES = Filter(empty=False, smaller_side=0)


class Segmentation(Task):
    name, scope, trained = "segmentation", "mmseg", "segmenter"
    titled = {  # noqa: RUF012  (never changed)
        "SegVisualizationHook": PICTURES + "TitledMapsHook",
        "SegLocalVisualizer": PICTURES + "TitledMapsVisualizer",
    }

    def inspect(self, root: Path, cfg: Config, splits: Sequence[str]) -> LabelFolder | ObjectFolder:
        if any(find_folders(root, name) for name in splits):
            return inspect_labels(root, splits, decoder_of(cfg), own_names(cfg, root))
        if any(find_annotations(root, name) for name in splits):
            return ObjectFolder(inspect(root, True, splits, decoder_of(cfg), ALL_IMAGES))
        if not root.is_dir():
            raise DataError(f"{root} is not a folder; name the one that holds the images and label images")
        raise DataError(
            f"{root} has neither label images nor annotations in COCO's format for {' and '.join(splits)}. "
            f"Looked for {looked_for(splits[0])}; and for {', '.join(places(splits[0])[:3])}"
        )

    def find_split(self, root: Path, name: str) -> Path | None:
        folders = find_folders(root, name)
        return folders[1] if folders else find_annotations(root, name)

    def point(self, cfg: Config, folder: Any) -> None:
        if not count_classes(cfg.model, len(folder.classes), no_object=False):
            raise DataError("the config's model has no num_classes: its head cannot be made to fit")
        evaluated = [split for name, split in folder.splits.items() if name != "train"]
        if evaluated:
            draw_some(cfg, evaluated[0].images)
        for name in folder.splits:
            for role in FEEDS[name]:
                for evaluator in evaluators_of(cfg, role):
                    if not str(evaluator["type"]).endswith(METRICS):
                        raise DataError(
                            f"{evaluator['type']} cannot evaluate the label maps of {folder.root}; take a "
                            f"config that is evaluated by {METRICS[0]}"
                        )
                for dataset in datasets_of(cfg, role):
                    replace_all(dataset, KEPT, settings_of(folder, name))
        read_maps(cfg)

    def survey(self, cfg: Config, folder: Any) -> Survey | None:
        if isinstance(folder, LabelFolder):
            split = folder.splits["train"]
            width, height = (round(median(sides)) for sides in zip(*split.sizes, strict=True))
            return Survey(split.images, width, height)
        file = annotations_of(cfg) if folder is None else folder.splits["train"].annotation_file
        if file is None or file.suffix != ".json" or not file.is_file():
            return None  # label images would all have to be opened
        return survey(file, ALL_IMAGES, folder and folder.objects.classes)

    def complete(self, cfg: Config) -> None:
        """Nothing that MMSegmentation's parts do not see to."""

    def tta_model(self, cfg: Config) -> dict[str, Any]:
        return dict(type="SegTTAModel")


def settings_of(folder: LabelFolder | ObjectFolder, name: str) -> dict[str, Any]:
    """What makes a dataset of ours read a split; paths are below the root."""
    about = {
        "data_root": str(folder.root),
        "metainfo": {"classes": folder.classes, "palette": palette_of(len(folder.classes))},
    }
    if isinstance(folder, LabelFolder):
        return {"type": READ + "LabelImageDataset", **about, "split": name, "legend": folder.legend.keys}
    split = folder.splits[name]
    return {
        "type": READ + "SemanticCocoDataset",
        **about,
        "ann_file": split.annotation_file.relative_to(folder.root).as_posix(),
        "data_prefix": {"img_path": split.image_folder.relative_to(folder.root).as_posix()},
    }


def read_maps(cfg: Config) -> None:
    """Have every pipeline read labels as our datasets have them, in place."""
    loaders = [cfg.get(f"{role}_dataloader") for role in ("train", "val", "test")]
    for step in transforms([*loaders, cfg.get("tta_pipeline")]):
        if str(step["type"]).endswith("LoadAnnotations"):
            step.pop("reduce_zero_label", None)
            step["type"] = READ + "LoadSemanticMap"


def own_names(cfg: Config, root: Path) -> dict[int, str] | None:
    """Names by number of a folder that has no file of them, where the config is for it.

    Those of PASCAL VOC, or what the same folder was trained as.
    """
    for dataset in dataset_configs(cfg.get("train_dataloader") or cfg.get("test_dataloader")):
        kind = str(dataset.get("type"))
        if kind.endswith("PascalVOCDataset") and is_voc(root):
            from mmseg.datasets import PascalVOCDataset

            return dict(enumerate(PascalVOCDataset.METAINFO["classes"]))
        if kind.endswith("LabelImageDataset") and Path(dataset["data_root"]).resolve() == root.resolve():
            numbers, names = dataset["legend"], dataset["metainfo"]["classes"]
            if all(isinstance(number, int) for number in numbers):
                return dict(zip(numbers, names, strict=True))
    return None
