"""Point a config at a folder: its datasets, its evaluators, and every place that counts classes.

point_config_at(cfg, inspect(Path("data/fish"), masks=True))
"""

import colorsys
from collections.abc import Iterator
from typing import Any

from mmengine import Config

from ..data.coco_folder import CocoFolder, DataError, Split
from ..data.images_on_disk import Decoder
from ..data.left_out import Filter
from .coco_by_name import by_name

# The dataloaders that a split feeds.
FEEDS = {"train": ("train",), "val": ("val", "test"), "test": ("test",)}
# Parts of the names of what reads other annotations; a dataset of other classes is replaced.
ALIEN = ("Panoptic", "VOCMetric", "CityScapesMetric", "LVISMetric", "OpenImagesMetric")


def point_config_at(cfg: Config, folder: CocoFolder) -> None:
    """Make `cfg` train and evaluate on `folder`, in place; pipelines and filters stay as they are.

    Raises `DataError` where the config's task or metric is another one, or where it has no
    dataset or class count to set.
    """
    if not _count_classes(cfg.model, len(folder.classes)):
        raise DataError("the config's model has no num_classes: its head cannot be made to fit")
    evaluated = [split for name, split in folder.splits.items() if name != "train"]
    if evaluated:
        _draw_some(cfg, evaluated[0].images)
    for name, split in folder.splits.items():
        for role in FEEDS[name]:
            _drop_siblings(cfg.get(f"{role}_dataloader"))
            datasets = list(dataset_configs(cfg.get(f"{role}_dataloader")))
            if cfg.get(f"{role}_dataloader") and not datasets:
                raise DataError(f"the config's {role}_dataloader has no dataset with an ann_file")
            evaluators = cfg.get(f"{role}_evaluator") or []
            evaluators = [evaluators] if isinstance(evaluators, dict) else evaluators
            for part in (*datasets, *evaluators):
                if any(sign in str(part["type"]) for sign in ALIEN):
                    raise DataError(
                        f"{part['type']} cannot read the COCO instances in {folder.root}; take a "
                        "config for detection or instance segmentation, evaluated by CocoMetric"
                    )
            for dataset in datasets:
                for key, value in _settings(folder, split).items():
                    dataset[key] = value  # `update` would merge: a config's dict keeps old keys
            for evaluator in evaluators:
                if evaluator.get("ann_file"):
                    evaluator["ann_file"] = str(split.annotation_file)
                if "CocoMetric" in str(evaluator["type"]):
                    evaluator.setdefault("classwise", True)
    read_by_name(cfg)


def read_by_name(cfg: Config) -> None:
    """Have COCO's files read by the names of classes, in place."""
    for role in ("train", "val", "test"):
        evaluators = cfg.get(f"{role}_evaluator") or []
        evaluators = [evaluators] if isinstance(evaluators, dict) else evaluators
        for part in (*dataset_configs(cfg.get(f"{role}_dataloader")), *evaluators):
            if isinstance(part.get("type"), str):
                part["type"] = by_name(part["type"].removeprefix("mmdet."))


def decoder_of(cfg: Config) -> Decoder:
    """How the images of the config will be decoded."""
    loader = cfg.get("train_dataloader") or cfg.get("test_dataloader")
    for dataset in dataset_configs(loader):
        for step in dataset.get("pipeline") or ():
            if str(step.get("type")).endswith("LoadImageFromFile"):
                return Decoder(step.get("imdecode_backend") or "cv2", step.get("color_type") or "color")
    return Decoder()


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


def _draw_some(cfg: Config, images: int) -> None:
    """Pictures of some twenty validation images, where the interval would pass over a small split."""
    drawing = (cfg.get("default_hooks") or {}).get("visualization") or {}
    if drawing.get("draw"):
        drawing["interval"] = min(drawing.get("interval", 50), max(1, images // 20))


def _settings(folder: CocoFolder, split: Split) -> dict[str, Any]:
    """What makes a CocoDataset read `split`; paths are below the root."""
    images = split.image_folder.relative_to(folder.root).as_posix()
    return {
        "type": "CocoDataset",
        "data_root": str(folder.root),
        "ann_file": split.annotation_file.relative_to(folder.root).as_posix(),
        "data_prefix": {"img": "" if images == "." else images},
        "metainfo": {"classes": folder.classes, "palette": palette_of(len(folder.classes))},
    }


def palette_of(count: int) -> list[tuple[int, int, int]]:
    """RGB, 0 to 255; golden-ratio steps of hue keep labels that follow each other far apart."""
    colours = (colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.75, 0.95) for label in range(count))
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in colours]


def dataset_configs(node: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The datasets with an annotation file in a dataloader's config, however deeply wrapped."""
    if not node:
        return
    if node.get("ann_file"):
        yield node
    for inner in (node.get("dataset"), *(node.get("datasets") or ())):
        yield from dataset_configs(inner)


def _drop_siblings(node: dict[str, Any] | None) -> None:
    """Of datasets that are concatenated keep the first: all would be one, counted several times."""
    if node:
        del (node.get("datasets") or [])[1:]
        for inner in (node.get("dataset"), *(node.get("datasets") or ())):
            _drop_siblings(inner)


def _count_classes(node: Any, count: int) -> int:
    """Write `count` wherever `node` counts classes, at any depth; in how many places it did."""
    if isinstance(node, (list, tuple)):
        return sum(_count_classes(child, count) for child in node)
    if not isinstance(node, dict):
        return 0
    places = sum(_count_classes(child, count) for child in node.values())
    for key in ("num_classes", "num_things_classes"):
        if key in node:
            node[key] = count
            places += 1
    if "num_stuff_classes" in node:
        node["num_stuff_classes"] = 0
    if isinstance(node.get("class_weight"), (list, tuple)):
        node["class_weight"] = _class_weight(node, count)
    return places


def _class_weight(loss: dict[str, Any], count: int) -> list[float]:
    """As many weights as classes; with a softmax, the last is that of 'no object' and stays."""
    weights = list(loss["class_weight"])
    background = [] if loss.get("use_sigmoid") else [weights.pop()]
    if len(set(weights)) != 1:
        raise DataError(f"class_weight differs by class: {weights}; write one for your classes")
    return weights[:1] * count + background
