"""The classes that a checkpoint knows, their colours and their ids in COCO's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.registry import DATASETS

from ..openmmlab.class_names import COCO_IDS, classes_of_checkpoint, difference, listed
from ..openmmlab.loaders import dataset_configs, palette_of
from ..weights import CheckpointError

Colour = tuple[int, int, int]  # RGB, 0 to 255


class Classes(NamedTuple):
    """Names and colours by label; ids are those of COCO for its 80 classes, else label + 1."""

    names: tuple[str, ...]
    palette: list[Colour]

    @property
    def ids(self) -> list[int]:
        if self.names == CocoDataset.METAINFO["classes"]:
            return COCO_IDS
        return list(range(1, len(self.names) + 1))

    def ids_of(self, wanted: Sequence[str] | None) -> list[int] | None:
        """The labels of some classes; None means all.

        Raises:
            ValueError: names those that the checkpoint does not know.
        """
        if wanted is None:
            return None
        unknown = [name for name in wanted if name not in self.names]
        if unknown:
            raise ValueError(f"the checkpoint has no class {listed(unknown)}; it has {listed(self.names)}")
        return [self.names.index(name) for name in wanted]


def classes_for(cfg: Config, source: str, checkpoint: dict[str, Any], is_own: bool) -> Classes:
    """The classes that a checkpoint was trained on, held against the config.

    Args:
        checkpoint: what was loaded from `source`.
        is_own: whether the config is the checkpoint's own, whose data set names no other classes.

    Raises:
        CheckpointError: where the checkpoint does not tell, or the config has others.
    """
    names = classes_of_checkpoint(checkpoint)
    if names is None:
        raise CheckpointError(
            f"{source} does not say which classes it was trained on: take the checkpoint that tools/train.py "
            f"wrote, not only its weights"
        )
    counts = sorted(set(counts_in(cfg.model)))
    if counts and len(names) not in counts:
        raise CheckpointError(
            f"{source} was trained on {len(names)} classes ({listed(names)}), and the config's heads have "
            f"{' and '.join(map(str, counts))}: take the config that it was trained with, or none, since the "
            f"checkpoint holds its own"
        )
    stated = None if is_own else classes_of_config(cfg)
    if stated and list(stated) != list(names):
        raise CheckpointError(
            f"{source} does not fit the config: {difference(names, stated)}. Leave the config out: the "
            f"checkpoint holds its own"
        )
    return Classes(tuple(names), colours_of(checkpoint, len(names)))


def counts_in(node: Any) -> Iterator[int]:
    """Every number of classes in a model's config; a panoptic one's are things and stuff together."""
    if isinstance(node, list | tuple):
        for child in node:
            yield from counts_in(child)
    elif isinstance(node, dict):
        if "num_things_classes" in node:
            yield node["num_things_classes"] + node.get("num_stuff_classes", 0)
        for key, child in node.items():
            if key == "num_classes" and isinstance(child, int):
                yield child
            else:
                yield from counts_in(child)


def classes_of_config(cfg: Config) -> Sequence[str] | None:
    """What the config's test data calls its classes, without reading the data."""
    for dataset in dataset_configs(cfg.get("test_dataloader")):
        kind = DATASETS.get(dataset["type"])
        own = getattr(kind, "METAINFO", {})
        return (dataset.get("metainfo") or {}).get("classes") or own.get("classes")
    return None


def colours_of(checkpoint: dict[str, Any], count: int) -> list[Colour]:
    """The checkpoint's palette, or one of ours where it has none for each class."""
    about = checkpoint["meta"].get("dataset_meta")
    palette = about.get("palette", about.get("PALETTE")) if isinstance(about, dict) else None
    if isinstance(palette, list | tuple) and len(palette) >= count:
        given = [tuple(colour) for colour in palette[:count] if isinstance(colour, list | tuple)]
        if len(given) == count and all(len(c) == 3 and all(v in range(256) for v in c) for c in given):
            return given
    return palette_of(count)
