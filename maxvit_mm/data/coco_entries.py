"""The entries of a COCO annotation file: each check gives a sentence for each thing that is wrong."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

SHOWN = 5  # names that a sentence gives before it only counts the rest

Entry = dict[str, Any]
Coco = dict[str, list[Entry]]
Boxed = list[tuple[Entry, Entry]]  # annotations, each with its image


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and isfinite(value)


def is_box(value: Any) -> bool:
    four = type(value) is list and len(value) == 4 and all(map(is_number, value))
    return four and value[2] >= 0 and value[3] >= 0


WHOLE = (lambda value: type(value) is int, "a whole number")
SIDE = (lambda value: type(value) is int and value > 0, "a whole number of pixels")
TEXT = (lambda value: type(value) is str and value.strip() != "", "a name")
BOX = (is_box, "[x, y, width, height] in finite pixels")
AREA = (is_number, "a number of square pixels")
CROWD = (lambda value: value in (0, 1), "0 or 1")
NEEDED = {  # read by MMDetection's CocoDataset and pycocotools' COCOeval, which stop without it
    "images": {"id": WHOLE, "file_name": TEXT, "width": SIDE, "height": SIDE},
    "categories": {"id": WHOLE, "name": TEXT},
    "annotations": {
        **{"id": WHOLE, "image_id": WHOLE, "category_id": WHOLE},
        **{"bbox": BOX, "area": AREA, "iscrowd": CROWD},
    },
}
UNIQUE = {"images": ("id", "file_name"), "annotations": ("id",), "categories": ("id", "name")}


def sentence(where: str, what: str, names: Iterable[Any]) -> Iterator[str]:
    """One sentence that counts the `names` and gives the first few; none without names."""
    if names := list(names):
        rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        yield f"{where}: {what} ({len(names):,}): {', '.join(map(str, names[:SHOWN]))}{rest}"


def called(entry: Any, place: int) -> str:
    """What a user would call an entry: its file, its class or its id, else its place (from 0)."""
    entry = entry if isinstance(entry, dict) else {}
    return str(entry.get("file_name") or entry.get("name") or entry.get("id", f"entry {place}"))


def load(where: str, file: Path, evaluated: bool, problems: list[str]) -> Coco | None:
    """The sound entries of an annotation file, or None where it is not one."""
    try:
        content = json.loads(file.read_text())  # as pycocotools will read it
    except ValueError as error:
        problems.append(f"{where}: not JSON, or cut short: {error}")
        return None
    content = content if isinstance(content, dict) else {}
    if wrong := [kind for kind in NEEDED if not isinstance(content.get(kind), list)]:
        problems.append(f"{where}: not a COCO annotation file, it has no list {', '.join(wrong)}")
        return None
    coco = {}
    for kind, needed in NEEDED.items():
        entries, unsound = content[kind], set()
        for key, (sound, meaning) in needed.items():
            if key == "iscrowd" and not evaluated:
                continue  # COCOeval alone insists on it
            bad = [i for i, e in enumerate(entries) if not (type(e) is dict and sound(e.get(key)))]
            names = (called(entries[i], i) for i in bad)
            problems += sentence(where, f"{kind} whose '{key}' is not {meaning}", names)
            unsound.update(bad)
        coco[kind] = [entry for i, entry in enumerate(entries) if i not in unsound]
        if not entries:
            problems.append(f"{where}: empty, its list of {kind} has no entry")
    return coco


def entry_problems(where: str, coco: Coco) -> Iterator[str]:
    """Names and numbers given twice, and annotations that point to nothing."""
    for kind, keys in UNIQUE.items():
        for key in keys:
            uses = Counter(entry[key] for entry in coco[kind])
            twice = (value for value, count in uses.items() if count > 1)
            yield from sentence(where, f"{kind} that share their '{key}' with another", twice)
    for kind, key in (("images", "image_id"), ("categories", "category_id")):
        known = {entry["id"] for entry in coco[kind]}
        stray = (f"{a['id']} ({a[key]})" for a in coco["annotations"] if a[key] not in known)
        yield from sentence(where, f"annotations whose '{key}' is not among the {kind}", stray)


def with_images(coco: Coco) -> Boxed:
    """The annotations that point to an image and a class, each with its image."""
    images = {image["id"]: image for image in coco["images"]}
    classes = {category["id"] for category in coco["categories"]}
    return [
        (annotation, images[annotation["image_id"]])
        for annotation in coco["annotations"]
        if annotation["image_id"] in images and annotation["category_id"] in classes
    ]


def class_problems(train: list[str], val: list[str]) -> Iterator[str]:
    """Classes that only one split has, or that come in another order: labels are places."""
    for name, own, other in (("train", train, val), ("val", val, train)):
        yield from sentence("classes", f"names only in {name}", (c for c in own if c not in other))
    if set(train) == set(val) and train != val:
        moved = (f"{t} in train, {v} in val" for t, v in zip(train, val, strict=False) if t != v)
        what = "other order in train than in val, and labels follow it"
        yield from sentence("classes", what, moved)


def remarks(where: str, name: str, coco: Coco, boxed: Boxed) -> Iterator[str]:
    """What works, but not as its author may think."""
    tiny = (a["id"] for a, _ in boxed if min(*a["bbox"][2:]) < 1 or a["area"] <= 0)
    yield from sentence(where, "boxes under one pixel, which MMDetection ignores", tiny)
    used = {a["category_id"] for a, _ in boxed}
    unused = (c["name"] for c in coco["categories"] if c["id"] not in used)
    yield from sentence(where, "classes without an instance", unused)
    if name == "val" and any(a["id"] == 0 for a, _ in boxed):
        yield f"{where}: annotation id 0, whose match COCOeval counts as a miss; count ids from 1"
