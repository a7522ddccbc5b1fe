"""A folder of images sorted by class: what lies in it, and every reason why it could not be trained on.

`inspect_classes` finds the splits and looks at every image before anything is built, so that one message
lists all that is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from .class_checks import LAYOUTS, Check
from .class_listing import ONE_IN, folders_in, is_one_tree, list_split
from .coco_entries import SHOWN
from .folder import ALIASES, DataError, chosen_labels, counts_of, unusable
from .images_on_disk import Decoder
from .listing import class_table

MANY = 100  # classes, beyond which only the smallest are listed


@dataclass(frozen=True)
class ClassSplit:
    """One split: where it was read, its images, and how many there are of each label.

    Width and height are medians, in pixels.
    """

    source: str
    images: int = 0
    per_class: tuple[int, ...] = ()
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class ClassFolder:
    """A folder that can be trained on; `classes` are in the order of the label numbers."""

    root: Path
    splits: dict[str, ClassSplit]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seed: int = 0

    def only(self, classes: Sequence[str]) -> ClassFolder:
        """The folder as if it had these classes alone, in this order.

        Raises:
            DataError: where it has no such class, or a split has no image of them, or there is but one.
        """
        labels = chosen_labels(self, classes)
        if len(classes) < 2:
            raise DataError(f"--classes: a classifier tells classes apart: name another beside {classes[0]}")
        splits = {
            name: replace(self.splits[name], images=sum(per_class), per_class=per_class)
            for name, per_class in counts_of(self, labels, "image").items()
        }
        return replace(self, splits=splits, classes=tuple(classes))

    def describe(self, width: int = 100) -> str:
        """The splits, the images of each class and the notes; `width` in characters."""
        lines = [f"{self.root}, number of classes: {len(self.classes)}"]
        lines += [
            f"  {name:<5}  {split.images:>9,} images  {split.source}" for name, split in self.splits.items()
        ]
        counts = {name: split.per_class for name, split in self.splits.items()}
        if len(self.classes) <= MANY:
            lines += class_table(self.classes, counts, "images", width)
        else:
            lines += (few_and_many(name, self.classes, each) for name, each in counts.items())
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def few_and_many(split: str, classes: Sequence[str], counts: Sequence[int]) -> str:
    """From how many to how many images the classes of a split have, and which have the fewest."""
    by_count = sorted(zip(counts, classes, strict=True))
    fewest = ", ".join(f"{name} {count:,}" for count, name in by_count[:SHOWN])
    return f"images of each class, {split}: {by_count[0][0]:,} to {by_count[-1][0]:,}; the fewest: {fewest}"


def inspect_classes(
    root: Path, names: Sequence[str] = ("train", "val"), decoder: Decoder | None = None, seed: int = 0
) -> ClassFolder:
    """Find and check the splits below `root`.

    Args:
        names: the splits that are needed, of 'train', 'val' and 'test'. The labels are the classes of the
            training, wherever the root has one.
        decoder: what will decode the images.
        seed: by which one tree without splits is parted.

    Raises:
        DataError: with everything that is wrong, in one message.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; name the one that holds {LAYOUTS}")
    listings, problems = {}, []
    for name in names:
        listing = list_split(root, name, seed)
        if listing is None:
            problems.append(f"{name}: {not_found(root, name)}")
        else:
            listings[name] = listing
    check = Check(root, listings)
    if listings:
        check.look(decoder or Decoder())
    problems += check.problems
    if problems:
        raise unusable(root, problems)
    if is_one_tree(root):
        check.notes.insert(0, parting(seed))
    splits = {name: counted(check, name) for name in listings}
    return ClassFolder(root, splits, tuple(check.classes), tuple(check.notes), seed)


def not_found(root: Path, name: str) -> str:
    there = ", ".join(f"{folder}/" for folder in folders_in(root)[:SHOWN])
    looked = " or ".join(f"{alias}/" for alias in ALIASES[name])
    return f"no folder {looked}; there is {there or 'no folder at all'}. Lay images out as {LAYOUTS}"


def parting(seed: int) -> str:
    return (
        f"there is no train/ and val/: of each class one image in {ONE_IN} is kept for validation, drawn by "
        f"their names and seed {seed}, the same at every time"
    )


def counted(check: Check, name: str) -> ClassSplit:
    """What was found of a split."""
    listing = check.listings[name]
    counts = Counter(label for _, label in listing.samples)
    sizes = [check.seen[path][:2] for path, _ in listing.samples]
    width, height = (round(median(side)) for side in zip(*sizes, strict=True))
    per_class = tuple(counts[label] for label in check.classes)
    return ClassSplit(listing.source, len(listing.samples), per_class, width, height)
