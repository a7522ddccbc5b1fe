"""The entries of a COCO annotation file: read as meant, and a sentence for each thing that is wrong."""

import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

LARGEST = sys.float_info.max
SHOWN = 5  # names that a sentence gives before it only counts the rest

Entry = dict[str, Any]
Coco = dict[str, list[Entry]]
Boxed = list[tuple[Entry, Entry]]  # annotations, each with its image


def is_number(value: Any) -> bool:
    # JSON has whole numbers of any length, and a double ends at 1.8e308.
    return type(value) in (int, float) and abs(value) <= LARGEST


def is_whole(value: Any) -> bool:
    # COCOeval keeps numbers as doubles, which have gaps above 2**53. pandas writes 7 as 7.0.
    return is_number(value) and abs(value) < 2**53 and value == int(value)


def is_side(value: Any) -> bool:
    return is_whole(value) and value > 0


def is_text(value: Any) -> bool:
    return type(value) is str and value.strip() != ""


def is_box(value: Any) -> bool:
    four = type(value) is list and len(value) == 4 and all(map(is_number, value))
    return four and value[2] >= 0 and value[3] >= 0


def is_flag(value: Any) -> bool:
    # MMDetection takes any text for true, "0" too.
    return type(value) in (bool, int, float) and value in (0, 1)


Need = tuple[Callable[[Any], bool], str]  # whether a value is sound, and what it should be
WHOLE: Need = (is_whole, "a whole number, such as 7; text, null and true are none")
SIDE: Need = (is_side, "a whole number of pixels above 0")
CROWD: Need = (is_flag, "0 or 1; text and null are neither: write 0 for an object, 1 for a crowd")
IGNORE: Need = (is_flag, "0 or 1; text and null are neither: write 0 for an object that counts")
NEEDED: dict[str, dict[str, Need]] = {  # read by MMDetection's CocoDataset and pycocotools' COCOeval
    "images": {"id": WHOLE, "file_name": (is_text, "a name"), "width": SIDE, "height": SIDE},
    "categories": {"id": WHOLE, "name": (is_text, "a name")},
    "annotations": {
        **{"id": WHOLE, "image_id": WHOLE, "category_id": WHOLE},
        "bbox": (
            is_box,
            "[x, y, width, height], finite numbers in pixels, width and height not negative",
        ),
        "area": (is_number, "a number of square pixels; leave it out, and the box's width x height is taken"),
        **{"iscrowd": CROWD, "ignore": IGNORE},
    },
}
AT_ONCE = {
    "images": "list each once",
    "annotations": "number them anew",
    "categories": "merge them or name them apart",
}
UNIQUE = {"images": ("id", "file_name"), "annotations": ("id",), "categories": ("id", "name")}
NUMBERS = ("id", "image_id", "category_id", "width", "height")
FLAGS = ("iscrowd", "ignore")


def read_annotations(file: Path | str) -> Any:
    """The content of an annotation file, with its entries `as_meant`.

    Raises:
        ValueError: where it is no JSON.
    """
    content = parse(Path(file))
    as_meant(content)
    return content


def parse(file: Path) -> Any:
    """The JSON of a file, in UTF-8 whatever the locale, with or without a byte order mark."""
    try:
        return json.loads(file.read_bytes())
    except UnicodeDecodeError as error:
        raise ValueError(f"not in UTF-8 ({error}): save it so") from error
    except RecursionError as error:
        raise ValueError("its lists are too deep") from error
    except ValueError as error:
        raise ValueError(f"not JSON, or cut short: {error}") from error


def as_meant(content: Any) -> Counter:
    """Fill in, in place, what a file leaves out and what can only mean one thing; how often for each key.

    Whole numbers that a tool wrote as `7.0` become `7`. An annotation without 'iscrowd' is no crowd, one
    without 'ignore' is not ignored, and one without 'area' has that of its box.
    """
    filled: Counter = Counter()
    lists = {kind: content.get(kind) for kind in NEEDED} if isinstance(content, dict) else {}
    for kind, entries in lists.items():
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, dict):
                continue
            for key in (*NUMBERS, *FLAGS):
                if type(entry.get(key)) is float and is_whole(entry[key]):
                    entry[key] = int(entry[key])
            if kind == "annotations":
                for key in FLAGS:
                    entry[key] = int(entry[key]) if type(entry.get(key)) is bool else entry.get(key, 0)
                if "area" not in entry and is_box(entry.get("bbox")):
                    entry["area"] = entry["bbox"][2] * entry["bbox"][3]
                    filled["area"] += 1
    return filled


def sentence(where: str, what: str, names: Iterable[Any]) -> Iterator[str]:
    """One sentence that counts the `names` and gives the first few; none without names."""
    if names := list(names):
        rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        yield f"{where}: {what} ({len(names):,}): {', '.join(map(str, names[:SHOWN]))}{rest}"


def called(entry: Any, place: int) -> str:
    """What a user would call an entry: its file, its class or its id, else its place (from 0)."""
    entry = entry if isinstance(entry, dict) else {}
    own = entry.get("id")
    return str(entry.get("file_name") or entry.get("name") or (f"entry {place}" if own is None else own))


def load(
    where: str,
    file: Path,
    problems: list[str],
    notes: list[str],
    needed: Mapping[str, Mapping[str, Need]] = NEEDED,
) -> tuple[Coco, set[str]] | None:
    """The sound entries of an annotation file and the kinds that have others; None where it is not one."""
    try:
        content = parse(file)
    except (ValueError, OSError) as error:
        problems.append(f"{where}: {error}")
        return None
    content = content if isinstance(content, dict) else {}
    if wrong := [kind for kind in needed if not isinstance(content.get(kind), list)]:
        problems.append(
            f"{where}: not a COCO annotation file, it has no list {', '.join(wrong)}: export it as COCO"
        )
        return None
    if without := as_meant(content)["area"]:
        notes.append(
            f"{where}: annotations without 'area' ({without:,}): width x height of the box is "
            f"taken, by which AP for small, medium and large objects counts them"
        )
    coco, incomplete = {}, set()
    for kind, keys in needed.items():
        coco[kind] = sound_entries(where, kind, content[kind], keys, problems)
        incomplete |= {kind} if len(coco[kind]) < len(content[kind]) else set()
        if not content[kind]:
            problems.append(f"{where}: empty, its list of {kind} has no entry")
    return coco, incomplete


def sound_entries(
    where: str, kind: str, entries: list[Any], keys: Mapping[str, Need], problems: list[str]
) -> list[Entry]:
    """The entries of which every key is as needed; a sentence on the others for each key."""
    unsound: set[int] = set()
    for key, (sound, meaning) in keys.items():
        bad = [i for i, e in enumerate(entries) if not (type(e) is dict and sound(e.get(key)))]
        names = (called(entries[i], i) for i in bad)
        problems += sentence(where, f"{kind} whose '{key}' is not {meaning}", names)
        unsound.update(bad)
    return [entry for i, entry in enumerate(entries) if i not in unsound]


def entry_problems(where: str, coco: Coco, incomplete: Container[str] = ()) -> Iterator[str]:
    """Names and numbers given twice, and annotations that point to nothing.

    Args:
        incomplete: the kinds of which entries were left out.
    """
    for kind, keys in UNIQUE.items():
        for key in keys:
            uses = Counter(entry[key] for entry in coco[kind])
            twice = (value for value, count in uses.items() if count > 1)
            what = f"{kind} that share their '{key}' with another; {AT_ONCE[kind]}"
            yield from sentence(where, what, twice)
    for kind, key in (("images", "image_id"), ("categories", "category_id")):
        if kind in incomplete:
            continue  # what they point to may be what has a sentence already
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


def class_problems(classes: dict[str, list[str]]) -> Iterator[str]:
    """Classes that only some of the splits have."""
    for name, own in classes.items():
        for other, theirs in classes.items():
            absent = (legible(each) for each in own if each not in theirs)
            what = f"names in {name} that {other} lacks; give both files all classes, spelt alike"
            yield from sentence("classes", what, absent)


def legible(name: str) -> str:
    """A name as it is, or as Python writes it where another name would look the same."""
    return name if name == unicodedata.normalize("NFC", name.strip()) else ascii(name)


def remarks(where: str, coco: Coco, kept: Boxed) -> Iterator[str]:
    """Classes of which nothing is learnt or evaluated."""
    used = {a["category_id"] for a, _ in kept}
    unused = (c["name"] for c in coco["categories"] if c["id"] not in used)
    yield from sentence(where, "classes without an instance", unused)
