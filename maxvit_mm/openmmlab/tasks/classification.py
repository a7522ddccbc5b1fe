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
from ..loaders import FEEDS, count_classes, datasets_of, decoder_of, draw_some, evaluators_of, replace_all
from .task import Task

# By its full path, as MMEngine finds it from anywhere
DATASET = "maxvit_mm.openmmlab.class_folder_dataset.ClassFolderDataset"
# Arguments of a dataset that the one in its place takes as well, whatever the folder
KEPT = ("pipeline", "indices", "lazy_init", "max_refetch", "serialize_data", "test_mode")


class Classification(Task):
    name, scope, trained = "classification", "mmpretrain", "classifier"
    from_released = False  # the released weights are what its recipes give
    titled = {  # noqa: RUF012  (never changed)
        "VisualizationHook": "maxvit_mm.openmmlab.class_pictures.TitledClassesHook"
    }
    drawn_if, drawn_into = "enable", "out_dir"

    def inspect(self, root: Path, cfg: Config, splits: Sequence[str]) -> ClassFolder:
        return inspect_classes(root, splits, decoder_of(cfg))

    def find_split(self, root: Path, name: str) -> Path | None:
        return find_split(root, name)

    def point(self, cfg: Config, folder: Any) -> None:
        count = len(folder.classes)
        places = count_classes(cfg.model, count, no_object=False)
        if not places:
            raise DataError("the config's model has no num_classes: its head cannot be made to fit")
        # Where MMPretrain's own configs have it
        count_classes(cfg.get("data_preprocessor"), count, no_object=False)
        for name in folder.splits:
            for role in FEEDS[name]:
                for dataset in datasets_of(cfg, role):
                    replace_all(dataset, KEPT, settings_of(folder, name))
                for evaluator in evaluators_of(cfg, role):
                    if "topk" in evaluator:
                        evaluator["topk"] = within(evaluator["topk"], count)
        if "val" in folder.splits:
            draw_some(cfg, folder.splits["val"].images)

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
