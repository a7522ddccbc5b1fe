"""The size at which a config's images reach the network: read, and set in every place at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from .loaders import dataset_configs

# The arguments that are sizes in pixels, by the last part of a transform's name.
SIZES = {
    "Resize": ("scale",),
    "RandomResize": ("scale",),
    "RandomChoiceResize": ("scales",),
    "FixScaleResize": ("scale",),
    "RandomCrop": ("crop_size",),
    "Pad": ("size",),
    "Mosaic": ("img_scale",),
    "CachedMosaic": ("img_scale",),
    "MixUp": ("img_scale",),
    "CachedMixUp": ("img_scale",),
    "BatchFixedSizePad": ("size",),
    "BatchSyncRandomResize": ("random_size_range",),
    "SegDataPreProcessor": ("size",),
    "RandomResizedCrop": ("scale",),
    "ResizeEdge": ("scale",),
    "CenterCrop": ("crop_size",),
    "MaxViTCrop": ("size",),
}
# What a test ends with
TESTED = {"Resize": "scale", "FixScaleResize": "scale", "CenterCrop": "crop_size", "MaxViTCrop": "size"}
WINDOW = ("crop_size", "stride", "size")  # of a test_cfg: of what slides over an image, or it is padded to
PARTS = ("train_dataloader", "val_dataloader", "test_dataloader", "tta_pipeline", "custom_hooks")
PADDED_TO = 128  # pixels; a pad_size_divisor from here on is the side of a square, not what strides need
Scale = tuple[int, int]  # the most pixels of the longer side, and of the shorter one


def parse_scale(text: str) -> Scale:
    """The scale that `--img-scale` names: '640', or '1333x800'.

    Raises:
        ValueError: where it is neither; argparse says so.
    """
    sides = [int(side) for side in text.lower().split("x")]
    if len(sides) > 2 or min(sides) < 32:
        raise ValueError(text)
    return max(sides), min(sides)


def scale_of(cfg: Config) -> Scale | None:
    """The scale at which a config tests; None where it takes images as they are."""
    for step in transforms(tested(cfg)):
        size = step.get(TESTED.get(kind(step), ""))
        if size is not None:
            sides = size if isinstance(size, (list, tuple)) else [size]
            return max(sides), min(sides)
    return None


def tested(cfg: Config) -> list[Any]:
    """The pipelines by which a config tests."""
    loader = cfg.get("test_dataloader") or cfg.get("val_dataloader") or cfg.get("train_dataloader")
    return [dataset.get("pipeline") for dataset in dataset_configs(loader)]


def in_network(scale: Scale | None, width: int, height: int) -> Scale:
    """Width and height that an image has in the network."""
    if scale is None:
        return width, height
    factor = min(scale[0] / max(width, height), scale[1] / min(width, height))
    return round(width * factor), round(height * factor)


def set_scale(cfg: Config, scale: Scale) -> None:
    """Train and test at another scale, in place: resizing, crops, padding and what a batch is padded to.

    Raises:
        SystemExit: where the config resizes nowhere.
    """
    old = scale_of(cfg)
    long, short = (scale[0] / old[0], scale[1] / old[1]) if old else (1.0, 1.0)
    # Both sides of what is cut or drawn at random keep their order.
    same = {"RandomCrop": short, "SegDataPreProcessor": short, "BatchSyncRandomResize": long}
    found = old is not None
    for step in transforms([cfg.get(name) for name in PARTS] + [cfg.model.get("data_preprocessor")]):
        for key in SIZES.get(kind(step), ()):
            relative = str(step.get("crop_type", "")).startswith("relative")
            if step.get(key) is not None and not relative:
                step[key] = resized(step[key], same.get(kind(step), long), same.get(kind(step), short))
        if kind(step) == "Resize":
            found = True
            if step.get("scale") is None:  # by a factor: images as they are
                step.pop("scale_factor", None)
                step.update(scale=scale, keep_ratio=True)
    if not found:
        raise SystemExit(
            "--img-scale: no step of the config's pipelines is a Resize: set the size in the config itself"
        )
    preprocessor = cfg.model.get("data_preprocessor") or {}
    for tested_with in (cfg.model.get("test_cfg") or {}, preprocessor.get("test_cfg") or {}):
        for key in WINDOW:
            if tested_with.get(key) is not None:
                tested_with[key] = resized(tested_with[key], short, short)
    side = preprocessor.get("pad_size_divisor") or 1
    if side >= PADDED_TO:
        preprocessor["pad_size_divisor"] = round(side * long)


def resized(size: Any, long: float, short: float) -> Any:
    """A size, or a list of them, with its longer side times `long` and its shorter one times `short`."""
    if not isinstance(size, (list, tuple)):
        return round(size * long)
    if size and isinstance(size[0], (list, tuple)):
        return [resized(each, long, short) for each in size]
    return tuple(round(side * (long if side == max(size) else short)) for side in size)


def kind(step: dict[str, Any]) -> str:
    return str(step.get("type")).rpartition(".")[2]


def transforms(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict with a type below `node`, each once however often a config refers to it."""
    seen: set[int] = set()

    def walk(node: Any) -> Iterator[dict[str, Any]]:
        if id(node) in seen:
            return
        if isinstance(node, (dict, list)):
            seen.add(id(node))
        if isinstance(node, dict):
            if "type" in node:
                yield node
            for child in list(node.values()):
                yield from walk(child)
        elif isinstance(node, (list, tuple)):
            for child in node:
                yield from walk(child)

    yield from walk(node)
