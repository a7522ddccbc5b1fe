"""What MMSegmentation learns from in a user's folder: label images, or the instances of a COCO file.

A config names these by their full path, so that MMEngine finds them from anywhere: MMSegmentation is an
extra, and takes seconds to import.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.fileio import get
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations

from ..data.coco_entries import read_annotations, with_images
from ..data.label_pairs import find_pairs
from ..data.semantic_map import BACKGROUND, NOTHING, Instance, Legend, labels_of, paint_instances


class SemanticCocoDataset(BaseSegDataset):
    """The instances of a COCO file as label maps: what no object covers is background, crowds are ignored.

    Of `metainfo.classes`, which are background and COCO's own unless it says others, all but `background` are
    looked up by name. Objects of other classes are background. Without a `background` among the classes, all
    that is none of them is ignored.

    Raises:
        ValueError: for a class that the file does not have.
    """

    METAINFO: dict[str, Any] = {"classes": (BACKGROUND, *CocoDataset.METAINFO["classes"])}  # noqa: RUF012

    @classmethod
    def get_label_map(cls, new_classes: Any = None) -> None:
        """None: labels are painted as `metainfo.classes` has them, and none is to be changed."""

    def load_data_list(self) -> list[dict[str, Any]]:
        coco = read_annotations(self.ann_file)
        named = {category["id"]: category["name"] for category in coco["categories"]}
        classes = list(self.metainfo["classes"])
        absent = [name for name in classes if name not in {BACKGROUND, *named.values()}]
        if absent:
            raise ValueError(f"{self.ann_file} has no class named {', '.join(absent)}")
        labels = {number: classes.index(name) for number, name in named.items() if name in classes}
        instances: dict[Any, list[Instance]] = {image["id"]: [] for image in coco["images"]}
        for each, image in with_images(coco):
            if each["category_id"] in labels:
                ignored = each["iscrowd"] or each["ignore"]
                label = NOTHING if ignored else labels[each["category_id"]]
                instances[image["id"]].append(Instance(label, each["segmentation"], each["area"]))
        folder = Path(self.data_prefix["img_path"])
        return [
            {
                "img_path": str(folder / image["file_name"]),
                "instances": instances[image["id"]],
                "shape": (image["height"], image["width"]),
                "nothing_else": classes.index(BACKGROUND) if BACKGROUND in classes else NOTHING,
                "seg_fields": [],
            }
            for image in coco["images"]
        ]


class LabelImageDataset(BaseSegDataset):
    """Images and label images of a folder that `label_pairs` knows.

    Args:
        split: 'train', 'val' or 'test', below `data_root`.
        legend: by label, the number or the red, green and blue that stand for it in the label images. All
            other values are ignored.

    Raises:
        FileNotFoundError: where the folder has no such split.
        ValueError: where the legend is not of as many classes as `metainfo` names.
    """

    def __init__(self, *, split: str, legend: Legend, **arguments: Any):
        self.split, self.legend = split, legend
        super().__init__(**arguments)
        if len(legend) != len(self.metainfo["classes"]):
            raise ValueError(f"a legend of {len(legend)} for {len(self.metainfo['classes'])} classes")

    def load_data_list(self) -> list[dict[str, Any]]:
        pairs = find_pairs(Path(self.data_root), self.split)
        if pairs is None:
            raise FileNotFoundError(f"{self.data_root} has no {self.split} images with label images")
        return [
            {
                "img_path": str(pairs.images / image),
                "seg_map_path": str(pairs.labels / label),
                "seg_fields": [],
            }
            for image, label in pairs.of.items()
        ]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        return {**super().get_data_info(idx), "legend": self.legend}


class LoadSemanticMap(LoadAnnotations):
    """Paint the instances of an item, or read its label image by a legend: `gt_seg_map`, [height, width]."""

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        if "instances" in results:
            height, width = results["shape"]
            found = paint_instances(results["instances"], height, width, results["nothing_else"])
        else:
            content = get(results["seg_map_path"], backend_args=self.backend_args)
            found = labels_of(content, results["legend"])
        results["gt_seg_map"] = found
        results["seg_fields"].append("gt_seg_map")
