"""Image classification, by MMPretrain: a class for each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ...data.class_folder import ClassFolder, inspect_classes
from ...data.class_listing import find_split
from ...data.folder import DataError
from ...data.survey import Survey
from ..image_size import Scale, scale_of
from ..loaders import FEEDS, count_classes, datasets_of, decoder_of, evaluators_of, set_all
from ..titles import draw_with
from .task import Task

# By its full path, as MMEngine finds it from anywhere
DATASET = "maxvit_mm.openmmlab.class_folder_dataset.ClassFolderDataset"
KEPT = (
    "pipeline",
    "indices",
    "lazy_init",
    "max_refetch",
    "serialize_data",
    "test_mode",
)  # of another dataset
TITLED = {"VisualizationHook": "maxvit_mm.openmmlab.class_pictures.TitledClassesHook"}


class Classification(Task):
    name, scope, trained = "classification", "mmpretrain", "classifier"
    from_released = False  # the released weights are what its recipes give

    def inspect(self, root: Path, cfg: Config, splits: Sequence[str]) -> ClassFolder:
        return inspect_classes(root, splits, decoder_of(cfg))

    def find_split(self, root: Path, name: str) -> Path | None:
        return find_split(root, name)

    def point(self, cfg: Config, folder: Any) -> None:
        count = len(folder.classes)
        places = count_classes(cfg.model, count, no_object=False)
        if not places:
            raise DataError("the config's model has no num_classes: its head cannot be made to fit")
        count_classes(
            cfg.get("data_preprocessor"), count, no_object=False
        )  # where MMPretrain's own configs have it
        for name in folder.splits:
            for role in FEEDS[name]:
                for dataset in datasets_of(cfg, role):
                    for key in set(dataset) - set(KEPT):
                        del dataset[key]
                    set_all(dataset, settings_of(folder, name))
                for evaluator in evaluators_of(cfg, role):
                    if "topk" in evaluator:
                        evaluator["topk"] = within(evaluator["topk"], count)
        draw_some_of(cfg, folder)

    def survey(self, cfg: Config, folder: Any) -> Survey | None:
        if folder is None:
            return None
        train = folder.splits["train"]
        return Survey(train.images, train.width, train.height)

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


def settings_of(folder: ClassFolder, split: str) -> dict[str, Any]:
    """What makes a dataset read a split."""
    return {
        "type": DATASET,
        "data_root": str(folder.root),
        "split": split,
        "seed": folder.seed,
        "metainfo": {"classes": folder.classes},
    }


def within(topk: int | Sequence[int], count: int) -> tuple[int, ...]:
    """Those of the best that are fewer than all classes, which would always be right; one at least."""
    several = (topk,) if isinstance(topk, int) else topk
    return tuple(k for k in several if k < count) or (1,)


def draw_some_of(cfg: Config, folder: ClassFolder) -> None:
    """Pictures of some twenty validation images, where the interval would pass over a small split."""
    drawing = (cfg.get("default_hooks") or {}).get("visualization") or {}
    if "val" in folder.splits and drawing.get("enable"):
        most = max(1, folder.splits["val"].images // 20)
        drawing["interval"] = min(drawing.get("interval", most), most)
