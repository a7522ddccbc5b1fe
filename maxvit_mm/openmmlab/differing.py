"""What a config would do to images and model otherwise than the training of a checkpoint did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from .image_size import Scale, kind, scale_of, tested

# What changes how a model learns, or how fast it runs, but not what a trained one finds.
LEARNING = (
    "init_cfg",
    "train_cfg",
    "drop_path_rate",
    "norm_eval",
    "frozen_stages",
    "with_cp",
    "implementation",
)
HANDLING = ("Load", "Pack", "Resize")  # transforms that are compared elsewhere, or change no pixel
SHOWN = 6


def differences(cfg: Config, own: Config) -> list[str]:
    """A line for each setting that changes results, with its value here and in the training.

    Args:
        cfg: what is to be run.
        own: the checkpoint's.
    """
    here, there = scale_of(cfg), scale_of(own)
    found = []
    if here != there:
        found.append(f"images are {sized(here)} here, and were {sized(there)} in the training")
    found += told("test pipeline", steps(cfg), steps(own))
    found += told("model", plain(cfg.model), plain(own.model))
    rest = [f"and {len(found) - SHOWN} more settings differ"] if len(found) > SHOWN else []
    return found[:SHOWN] + rest


def sized(scale: Scale | None) -> str:
    return "taken as they are" if scale is None else f"resized to {scale[0]} x {scale[1]}"


def steps(cfg: Config) -> Any:
    """The transforms of a test that change images, by name."""
    first = next(iter(tested(cfg)), None) or []
    return {kind(step): plain(step) for step in first if not kind(step).startswith(HANDLING)}


def plain(node: Any) -> Any:
    """A config's node with tuples as lists, and one name for what is computed alike."""
    if isinstance(node, dict):
        return {
            key: plain(value)
            for key, value in node.items()
            if key not in LEARNING and not str(key).startswith(("_", "loss"))
        }
    if isinstance(node, (list, tuple)):
        return [plain(each) for each in node]
    return "BN" if node == "SyncBN" else node


def told(path: str, here: Any, there: Any) -> Iterator[str]:
    """Where two nodes differ, at the deepest keys."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in {**here, **there}:
            yield from told(f"{path}.{key}", here.get(key), there.get(key))
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for place, pair in enumerate(zip(here, there, strict=True)):
            yield from told(f"{path}.{place}", *pair)
    elif here != there:
        yield f"{path} is {brief(here)} here, and was {brief(there)} in the training"


def brief(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
