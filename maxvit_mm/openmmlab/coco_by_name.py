"""COCO's files read by the names of classes, so that each number stands beside the right name.

MMDetection's `CocoDataset` takes labels from the order of the file's categories, whatever order
`metainfo.classes` has. pycocotools' `COCOeval` sorts the ids of categories, while MMDetection's table of
classes does not, and takes the match of annotation id 0 for a miss. These read any file in COCO's format
right, as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
from mmdet.datasets import CocoDataset, CocoPanopticDataset
from mmdet.datasets.api_wrappers import COCO, COCOPanoptic
from mmdet.evaluation import CocoMetric, CocoPanopticMetric
from mmengine.fileio import get_local_path
from mmengine.logging import MMLogger

from ..data.coco_entries import read_annotations

# What these stand in for.
PLAIN = {
    "CocoDataset": "CocoByNameDataset",
    "CocoMetric": "CocoByNameMetric",
    "CocoPanopticDataset": "PanopticByNameDataset",
    "CocoPanopticMetric": "PanopticByNameMetric",
}
SUMMARY = "COCOeval's summary:"


class ByName(COCO):
    """Before MMDetection's readers: an annotation file as it is meant, see `read_annotations`."""

    def __init__(self, annotation_file: str | None = None):
        super().__init__()
        if annotation_file is None:
            return
        self.dataset = read_annotations(annotation_file)
        for number, annotation in enumerate(self.dataset["annotations"], 1):
            annotation["id"] = number
        with redirect_stdout(StringIO()):  # that an index is being made
            self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def get_cat_ids(self, cat_names: Sequence[str] = (), *others: Any, **named: Any) -> list[int]:
        """The ids of classes, in the order of their names."""
        if not cat_names:
            return super().get_cat_ids(cat_names, *others, **named)
        ids = {category["name"]: category["id"] for category in self.dataset["categories"]}
        return [ids[name] for name in cat_names if name in ids]


class CocoByName(ByName):
    """Instances. Annotations are counted from 1."""


class PanopticByName(ByName, COCOPanoptic):
    """Panoptic maps, and the segments in each."""


class CocoByNameDataset(CocoDataset):
    """`CocoDataset`, with its arguments. Label i is the class named `metainfo.classes[i]`."""

    COCOAPI = CocoByName
    by_name = True


class PanopticByNameDataset(CocoPanopticDataset):
    """`CocoPanopticDataset`, with its arguments. Label i is the class named `metainfo.classes[i]`."""

    COCOAPI = PanopticByName
    by_name = True


class PanopticByNameMetric(CocoPanopticMetric):
    """`CocoPanopticMetric`, with its arguments. Each class's quality stands beside its name."""

    def __init__(self, ann_file: str | None = None, **arguments: Any):
        super().__init__(**arguments)
        if ann_file is not None:
            with get_local_path(ann_file, backend_args=self.backend_args) as path:
                self._coco_api = PanopticByName(path)
            self.categories = self._coco_api.cats

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Evaluate with the categories in the order of the labels, and those alone."""
        if self._coco_api is not None:
            ids = self._coco_api.get_cat_ids(cat_names=self.dataset_meta["classes"])
            self._coco_api.cats = self.categories = {i: self._coco_api.cats[i] for i in ids}
        return super().compute_metrics(results)

    def _parse_predictions(self, pred: dict[str, Any], *others: Any, **named: Any) -> dict[str, Any]:
        """Void is written as 0 into a copy: on a CPU it would be the prediction, which is drawn later."""
        found = pred["pred_panoptic_seg"]
        copied = {**found, "sem_seg": found["sem_seg"].clone()}
        return super()._parse_predictions({**pred, "pred_panoptic_seg": copied}, *others, **named)


class CocoByNameMetric(CocoMetric):
    """`CocoMetric`, with its arguments. Predictions are written with the file's own category ids."""

    def __init__(self, ann_file: str | None = None, **arguments: Any):
        super().__init__(**arguments)
        if ann_file is not None:
            with get_local_path(ann_file, backend_args=self.backend_args) as path:
                self._coco_api = CocoByName(path)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Evaluate with labels in the order of the ids, which is COCOeval's."""
        if self._coco_api is not None:
            ids = self._coco_api.get_cat_ids(cat_names=self.dataset_meta["classes"])
            self.cat_ids = sorted(ids)
            place = np.argsort(np.argsort(ids))
            results = [(truth, {**found, "labels": place[found["labels"]]}) for truth, found in results]
        with redirect_stdout(StringIO()) as said:
            metrics = super().compute_metrics(results)
        logger = MMLogger.get_current_instance()
        tables = [line for line in said.getvalue().splitlines() if line.startswith(" Average")]
        if tables:
            logger.info("\n".join([SUMMARY, *tables]))
        if not metrics:
            logger.info("nothing was found in any image: usual after a few steps, and no AP is counted")
        absent = [name for name, value in metrics.items() if value == -1 or np.isnan(value)]
        if absent:
            logger.info(f"-1 and nan mean that the split has no such object: {', '.join(absent)}")
        return metrics


def by_name(kind: str) -> str:
    """The type that stands in for a plain one in a config, as MMEngine finds it from anywhere."""
    return f"{__name__}.{PLAIN[kind]}" if kind in PLAIN else kind
