"""What a config reads and by what it is measured: its datasets and evaluators, whatever its task."""

from __future__ import annotations

import colorsys
from collections.abc import Collection, Iterator
from typing import Any

from mmengine.config import Config

from ..data.folder import DataError
from ..data.images_on_disk import Decoder

# The dataloaders that a split feeds.
FEEDS = {"train": ("train",), "val": ("val", "test"), "test": ("test",)}


def dataset_configs(node: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The datasets of a dataloader's config, however deeply wrapped; the wrappers are left out."""
    for inner in inner_of(node or {}):
        if inner.get("dataset") or inner.get("datasets"):
            yield from dataset_configs(inner)
        else:
            yield inner


def inner_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a dataloader or a wrapper holds."""
    for inner in (node.get("dataset"), *(node.get("datasets") or ())):
        if inner:
            yield inner


def drop_siblings(node: dict[str, Any] | None) -> None:
    """Of datasets that are concatenated keep the first: all would be one, counted several times."""
    if node:
        del (node.get("datasets") or [])[1:]
        for inner in inner_of(node):
            drop_siblings(inner)


def datasets_of(cfg: Config, role: str) -> list[dict[str, Any]]:
    """The datasets of a role, 'train', 'val' or 'test', to be pointed at a split: of joined ones the first.

    Raises:
        DataError: where the config has a dataloader and no dataset in it.
    """
    loader = cfg.get(f"{role}_dataloader")
    drop_siblings(loader)
    datasets = list(dataset_configs(loader))
    if loader and not datasets:
        raise DataError(f"the config's {role}_dataloader has no dataset")
    return datasets


def evaluators_of(cfg: Config, role: str) -> list[dict[str, Any]]:
    """The evaluators of a role, whether it has one, several or none."""
    evaluators = cfg.get(f"{role}_evaluator") or []
    return [evaluators] if isinstance(evaluators, dict) else list(evaluators)


def set_all(node: dict[str, Any], settings: dict[str, Any]) -> None:
    """Set keys whole: `update` would merge, and a config's dict keep its old keys."""
    for key, value in settings.items():
        node[key] = value


def replace_all(dataset: dict[str, Any], kept: Collection[str], settings: dict[str, Any]) -> None:
    """Put another dataset's settings in the place of all but those that are `kept`."""
    for key in set(dataset) - set(kept):
        del dataset[key]
    set_all(dataset, settings)


def decoder_of(cfg: Config) -> Decoder:
    """How the images of the config will be decoded."""
    loader = cfg.get("train_dataloader") or cfg.get("test_dataloader")
    for dataset in dataset_configs(loader):
        for step in dataset.get("pipeline") or ():
            if str(step.get("type")).endswith("LoadImageFromFile"):
                return Decoder(step.get("imdecode_backend") or "cv2", step.get("color_type") or "color")
    return Decoder()


def count_classes(node: Any, count: int, stuff: int = 0, no_object: bool = True) -> int:
    """Write `count` wherever a model's config counts classes, at any depth; in how many places it did.

    Args:
        stuff: further classes, of which nothing is counted in an image, of a panoptic model.
        no_object: whether a softmax has one more place, for what is none of the classes.
    """
    if isinstance(node, (list, tuple)):
        return sum(count_classes(child, count, stuff, no_object) for child in node)
    if not isinstance(node, dict):
        return 0
    places = sum(count_classes(child, count, stuff, no_object) for child in node.values())
    for key in ("num_classes", "num_things_classes"):
        if key in node:
            node[key] = count
            places += 1
    if "num_stuff_classes" in node:
        node["num_stuff_classes"] = stuff
    if isinstance(node.get("class_weight"), (list, tuple)):
        node["class_weight"] = class_weight(node, count + stuff, no_object)
    return places


def class_weight(loss: dict[str, Any], count: int, no_object: bool) -> list[float]:
    """As many weights as classes; with a softmax, that of 'no object' is the last, and stays."""
    weights = list(loss["class_weight"])
    background = [weights.pop()] if no_object and not loss.get("use_sigmoid") else []
    if len(set(weights)) != 1:
        raise DataError(f"class_weight differs by class: {weights}; write one for your classes")
    return weights[:1] * count + background


def draw_some(cfg: Config, images: int) -> None:
    """Pictures of some twenty validation images, where the interval would pass over a small split."""
    drawing = (cfg.get("default_hooks") or {}).get("visualization") or {}
    if drawing.get("draw") or drawing.get("enable"):  # as MMPretrain calls it
        most = max(1, images // 20)
        drawing["interval"] = min(drawing.get("interval", most), most)


def palette_of(count: int) -> list[tuple[int, int, int]]:
    """RGB, 0 to 255; golden-ratio steps of hue keep labels that follow each other far apart."""
    colours = (colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.75, 0.95) for label in range(count))
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in colours]
