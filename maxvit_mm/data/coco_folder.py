"""A folder of COCO-format data: what lies in it, and every reason why it could not be trained on.

`inspect` finds the annotation files and the image folders and checks them before anything is
built, so that one message lists all that is wrong. Boxes and polygons are in pixels.
"""

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .coco_entries import Coco, class_problems, entry_problems, load, remarks, with_images
from .coco_geometry import box_problems, image_problems, mask_problems, present_files

ALIASES = {"train": ("train",), "val": ("val", "valid")}
ANNOTATIONS = (
    *("annotations/instances_{}2017.json", "annotations/instances_{}.json", "annotations/{}.json"),
    *("{}.json", "instances_{}.json", "{}/_annotations.coco.json", "{}/annotations.json"),
)
IMAGES = ("{}2017", "{}", "images/{}2017", "images/{}", "images", ".")


class DataError(ValueError):
    """Data that cannot work; the message names everything that is wrong with it."""


@dataclass(frozen=True)
class Split:
    """One split: its files, how much is in them, and the instances of each label."""

    annotation_file: Path
    image_folder: Path
    images: int = 0
    instances: int = 0
    per_class: tuple[int, ...] = ()


@dataclass(frozen=True)
class CocoFolder:
    """A folder that can be trained on; `classes` are in the order of the label numbers."""

    root: Path
    splits: dict[str, Split]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def describe(self, width: int = 100) -> str:
        """The splits, the instances of each class and the notes; `width` in characters."""
        lines = [f"{self.root}, number of classes: {len(self.classes)}"]
        for name, split in self.splits.items():
            file = split.annotation_file.relative_to(self.root)
            folder = split.image_folder.relative_to(self.root)
            counts = f"{split.images:>7,} images  {split.instances:>7,} instances"
            lines.append(f"  {name:<5}  {counts}  {file}, images in {folder}/")
        lines.append(f"instances of each class, {' / '.join(self.splits)}:")
        per_class = zip(*(split.per_class for split in self.splits.values()), strict=True)
        tallies = [" / ".join(f"{count:,}" for count in each) for each in per_class]
        wide, long = max(map(len, self.classes)), max(map(len, tallies))
        cells = [f"  {c:<{wide}}  {n:>{long}}" for c, n in zip(self.classes, tallies, strict=True)]
        rows = -(-len(cells) // max(1, width // (len(cells[0]) + 2)))
        lines += ["  ".join(cells[row::rows]) for row in range(rows)]  # to be read downwards
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """A third of the time on COCO would go into seeking garbage among its many small lists."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@no_garbage_collection()
def inspect(root: Path, masks: bool, train: bool = True) -> CocoFolder:
    """Find and check the splits below `root`: train and val, or val alone if not `train`.

    `masks`: the model trains masks. If it does not, unsound masks are noted, not refused.
    Raises `DataError` with everything that is wrong, in one message.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; name the one that holds the annotation files")
    problems: list[str] = []
    notes: list[str] = []
    found = find_splits(root, tuple(ALIASES) if train else ("val",), problems)
    splits, classes = {}, {}
    for name, (split, coco) in found.items():
        where = f"{name} ({split.annotation_file.relative_to(root)})"
        problems += entry_problems(where, coco)
        problems += image_problems(where, split.image_folder, coco["images"])
        boxed = with_images(coco)
        problems += box_problems(where, boxed)
        (problems if masks else notes).extend(mask_problems(where, boxed, masks))
        notes += remarks(where, name, coco, boxed)
        classes[name] = [category["name"] for category in coco["categories"]]
        tally = Counter(annotation["category_id"] for annotation, _ in boxed)
        splits[name] = replace(
            split,
            images=len(coco["images"]),
            instances=len(boxed),
            per_class=tuple(tally[category["id"]] for category in coco["categories"]),
        )
    if len(classes) == 2:
        problems += class_problems(**classes)
    if problems:
        raise DataError("\n  - ".join([f"{root} cannot be used as it is:", *problems]))
    return CocoFolder(root, splits, tuple(classes["val"]), tuple(notes))


def find_splits(root: Path, names: Iterable[str], problems: list[str]) -> dict[str, tuple[Split, Coco]]:
    """The files of each split and its parsed annotations; what is wrong is added to `problems`."""
    found = {}
    for name in names:
        looked = [path.format(alias) for alias in ALIASES[name] for path in ANNOTATIONS]
        file = next((root / path for path in looked if (root / path).is_file()), None)
        if file is None:
            problems.append(f"{name}: no annotation file; looked for {', '.join(looked)}")
        elif coco := load(f"{name} ({file.relative_to(root)})", file, name == "val", problems):
            tried = [root / path.format(alias) for alias in ALIASES[name] for path in IMAGES]
            wanted = [image["file_name"] for image in coco["images"]]
            held = {f: len(present_files(f, wanted)) for f in [*tried, file.parent] if f.is_dir()}
            if wanted and not any(held.values()):
                folders = ", ".join(str(folder.relative_to(root)) for folder in held)
                problems.append(f"{name}: none of its images was found; looked in {folders}")
            found[name] = Split(file, max(held, key=held.__getitem__)), coco  # first of the best
    return found
