"""Whose classes are these: of a config, of an annotation file, of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

SHOWN = 8  # names that a message gives before it only counts the rest
# Of the 80 classes, in their order; ten numbers were never given.
COCO_IDS = sorted(set(range(1, 91)) - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83})


def plain_datasets(dataset: Any) -> Iterator[Any]:
    """The datasets inside OpenMMLab's wrappers that read annotation files in COCO's format."""
    for inner in getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]:
        if inner is not None:
            yield from plain_datasets(inner)
    if hasattr(dataset, "COCOAPI") and hasattr(dataset, "ann_file"):
        yield dataset


def check_class_names(dataset: Any) -> None:
    """Refuse a dataset whose labels would not be what the config calls them."""
    dataset.full_init()
    wanted = list(dataset.metainfo["classes"])
    if getattr(dataset, "by_name", False) and len(dataset.cat_ids) == len(wanted):
        return
    if wanted == list(type(dataset).METAINFO.get("classes", ())) and list(dataset.cat_ids) == COCO_IDS:
        return  # COCO itself: spare its users a second look at a large file
    categories = dataset.COCOAPI(dataset.ann_file).loadCats(dataset.cat_ids)
    found = [category["name"] for category in categories]
    if found == wanted:
        return
    absent = [name for name in wanted if name not in found]
    problem = (
        f"has no class named {', '.join(absent)}"
        if absent
        else f"lists its classes in the order {', '.join(found)}, the config as {', '.join(wanted)}"
    )
    raise SystemExit(
        f"{dataset.ann_file} {problem}. Set metainfo=dict(classes=...) of the dataset and num_classes to "
        f"the file's own, or let `--data FOLDER` do it."
    )


def classes_of_run(loop: Any) -> Sequence[str] | None:
    """The names of a loop's classes, by label; None where its dataset has none."""
    dataset = getattr(getattr(loop, "dataloader", None), "dataset", None)
    return getattr(dataset, "metainfo", {}).get("classes")


def classes_of_checkpoint(checkpoint: dict[str, Any]) -> Sequence[str] | None:
    """The names of the classes that a detector was trained on, by label; None where it does not tell.

    MMEngine keeps them under 'dataset_meta', MMDetection 2 under 'CLASSES'.
    """
    meta = checkpoint.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    about = meta.get("dataset_meta")
    for holder in (about if isinstance(about, dict) else {}, meta):
        for key in ("classes", "CLASSES"):
            names = holder.get(key)
            names = (names,) if isinstance(names, str) else names  # ('cat') is a text in Python
            if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
                return names
    return None


def difference(theirs: Sequence[str], own: Sequence[str]) -> str:
    """What a checkpoint's classes and a run's differ in."""
    if set(theirs) == set(own):
        place = next(i for i, (a, b) in enumerate(zip(theirs, own, strict=False)) if a != b)
        at = f"; label {place} is {theirs[place]} there and {own[place]} here" if len(own) > SHOWN else ""
        return (
            f"it was trained on the same classes in another order, {listed(theirs)}, and here they are "
            f"{listed(own)}{at}"
        )
    said = f"it was trained on the classes {listed(theirs)}, and here they are {listed(own)}"
    for whose, names, others in (("the checkpoint", theirs, own), ("this run", own, theirs)):
        alone = [name for name in names if name not in others]
        if alone and len(names) > SHOWN:
            said += f"; only {whose} has {listed(alone)}"
    return said


def listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def to_start_anew(source: str) -> str:
    return (
        f"To start from its weights with other classes, leave out --resume and add "
        f"--cfg-options load_from={source}"
    )


def to_test(theirs: Sequence[str], own: Sequence[str]) -> str:
    if set(theirs) == set(own):
        return "Add --classes-by-name to look each class up by its name"
    return "Test it on data with the classes that it knows, or train it on these"
