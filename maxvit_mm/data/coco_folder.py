"""A folder of COCO-format data: what lies in it, and every reason why it could not be trained on.

`inspect` finds the annotation files and the image folders and checks them before anything is
built, so that one message lists all that is wrong. Boxes and polygons are in pixels.
"""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .coco_boxes import box_remarks, other_reading, outside_boxes
from .coco_entries import Coco, class_problems, entry_problems, load, remarks, with_images
from .coco_geometry import area_remarks, mask_problems
from .folder import DataError, chosen_labels, counts_of, unusable
from .image_sentences import image_problems, image_remarks, shared_images
from .images_on_disk import Decoder, Seen, look_at_all, stamps
from .left_out import Filter, empty_images, left_out, nothing_left, sort_out
from .listing import class_table
from .memory import Memory, one_at_a_time

ALIASES = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
ANNOTATIONS = (
    *("annotations/instances_{}2017.json", "annotations/instances_{}.json", "annotations/{}.json"),
    *("{}.json", "instances_{}.json", "{}/_annotations.coco.json", "{}/annotations.json"),
)
IMAGES = ("{}2017", "{}", "images/{}2017", "images/{}", "images", ".")


@dataclass(frozen=True)
class Split:
    """One split: its files, how much is in them, and the instances of each label.

    `instances` and `per_class` count what MMDetection learns from, or what COCOeval evaluates. `left_out`
    counts the rest.
    """

    annotation_file: Path
    image_folder: Path
    images: int = 0
    instances: int = 0
    per_class: tuple[int, ...] = ()
    left_out: int = 0
    most: int = 0  # instances of the fullest image


@dataclass(frozen=True)
class CocoFolder:
    """A folder that can be trained on; `classes` are in the order of the label numbers."""

    root: Path
    splits: dict[str, Split]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def only(self, classes: Sequence[str]) -> "CocoFolder":
        """The folder as if it had these classes alone, in this order.

        Raises:
            DataError: where it has no such class, or a split has no object of them.
        """
        counts = counts_of(self, chosen_labels(self, classes), "object")
        splits = {
            name: replace(self.splits[name], instances=sum(per_class), per_class=per_class)
            for name, per_class in counts.items()
        }
        return replace(self, splits=splits, classes=tuple(classes))

    def describe(self, width: int = 100) -> str:
        """The splits, the instances of each class and the notes; `width` in characters."""
        lines = [f"{self.root}, number of classes: {len(self.classes)}"]
        for name, split in self.splits.items():
            file = split.annotation_file.relative_to(self.root)
            folder = split.image_folder.relative_to(self.root)
            counts = f"{split.images:>7,} images  {split.instances:>7,} instances"
            rest = f" ({split.left_out:,} left out, see the notes)" if split.left_out else ""
            lines.append(f"  {name:<5}  {counts}{rest}  {file}, images in {folder}/")
        per_class = {name: split.per_class for name, split in self.splits.items()}
        lines += class_table(self.classes, per_class, "instances", width)
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
def inspect(
    root: Path,
    masks: bool,
    names: Sequence[str] = ("train", "val"),
    decoder: Decoder | None = None,
    only: Filter | None = None,
) -> CocoFolder:
    """Find and check the splits below `root`.

    Args:
        masks: the model trains masks. If it does not, unsound masks are noted, not refused.
        names: the splits that are needed, of 'train', 'val' and 'test'. The first one's classes, in its
            order, are the labels.
        decoder: what will decode the images.
        only: what training will leave out.

    Raises:
        DataError: with everything that is wrong, in one message.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; name the one that holds the annotation files")
    problems: list[str] = []
    checked = {}
    for name in names:
        file = find_annotations(root, name)
        if file is None:
            problems.append(
                f"{name}: no annotation file. Write {places(name)[1]}, and its images into {name}/; looked "
                f"for {', '.join(places(name))}{others(root, names)}"
            )
        else:
            with one_at_a_time(file):
                check = Check(root, name, file, masks, decoder or Decoder(), only or Filter())
                problems += check.problems
                checked[name] = check
    classes = {name: check.classes for name, check in checked.items() if check.classes}
    problems += class_problems(classes)
    if problems:
        raise unusable(root, problems)
    labels = classes[names[0]]
    splits = {name: check.split(labels) for name, check in checked.items()}
    notes = [note for check in checked.values() for note in check.notes]
    notes += shared_images({name: check.digests() for name, check in checked.items()})
    return CocoFolder(root, splits, tuple(labels), tuple(notes))


def find_annotations(root: Path, name: str) -> Path | None:
    """The annotation file of a split, if there is one."""
    return next((root / path for path in places(name) if (root / path).is_file()), None)


def others(root: Path, names: Sequence[str]) -> str:
    """A hint at JSON files that are there under names of their own, as CVAT and Label Studio give them."""
    taken = {find_annotations(root, name) for name in names}
    found = (path for depth in ("*", "*/*", "*/*/*") for path in sorted(root.glob(f"{depth}.json")))
    there = [str(path.relative_to(root)) for path in found if path not in taken][:5]
    return f"; there is {', '.join(there)}: rename what is the split's" if there else ""


def places(name: str) -> list[str]:
    """Where a split's annotation file is looked for, below the root."""
    return [path.format(alias) for alias in ALIASES[name] for path in ANNOTATIONS]


def find_images(root: Path, name: str, images: list[str], beside: Path) -> tuple[Path, list[str]]:
    """The folder that holds most of a split's images, the first of several; and those that were tried."""
    tried = [root / path.format(alias) for alias in ALIASES[name] for path in IMAGES]
    held = {f: len(stamps(f, images)) for f in [*tried, beside] if f.is_dir()}
    return max(held, key=held.__getitem__), [str(folder.relative_to(root)) for folder in held]


class Check:
    """One split, looked at: `problems`, `notes`, and what a `Split` says."""

    def __init__(self, root: Path, name: str, file: Path, masks: bool, decoder: Decoder, only: Filter):
        self.root, self.name, self.file = root, name, file
        self.masks, self.decoder, self.only = masks, decoder, only
        self.where = f"{name} ({file.relative_to(root)})"
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.classes: list[str] = []
        self.folder, self.images, self.left, self.most = root, 0, 0, 0
        self.tally: dict[str, int] = {}  # instances of each class
        self.seen: dict[str, Seen] = {}  # each image that could be looked at
        memory: Memory[Seen] = Memory(file, name, masks, *decoder, only)
        if not self.remembered(memory):
            found = load(self.where, file, self.problems, self.notes)
            if found is not None:
                self.look(*found, memory)

    def remembered(self, memory: Memory) -> bool:
        """Take what an earlier check found, if neither annotations nor images have changed since."""
        findings = memory.findings()
        if findings is None:
            return False
        names = list(memory.content["images"])
        self.folder = self.image_folder(names)
        now = stamps(self.folder, names)
        self.seen = memory.images(self.folder, self.decoder, now)
        if len(self.seen) < len(names):
            return False
        vars(self).update(findings)
        return True

    def look(self, coco: Coco, incomplete: set[str], memory: Memory) -> None:
        """Every check, of entries, images, boxes and masks."""
        names = [image["file_name"] for image in coco["images"]]
        self.folder = self.image_folder(names)
        now = stamps(self.folder, names)
        self.seen = seen = memory.images(self.folder, self.decoder, now)
        seen |= look_at_all(self.folder, [name for name in now if name not in seen], self.decoder)
        self.problems += entry_problems(self.where, coco, incomplete)
        self.problems += image_problems(self.where, self.folder, coco["images"], seen, self.tried)
        self.notes += image_remarks(self.where, seen)
        self.look_at_objects(coco, whole=not incomplete)
        kept = ("notes", "classes", "images", "tally", "left", "most")
        findings = {name: getattr(self, name) for name in kept}
        memory.keep(self.folder, self.decoder, now, seen, None if self.problems else findings)

    def look_at_objects(self, coco: Coco, whole: bool) -> None:
        """Boxes, masks and areas; where entries were left out, what is left of the `whole` tells nothing."""
        boxed, to_train = with_images(coco), self.name == "train"
        kept, rest = sort_out(boxed, to_train)
        reading = other_reading(self.where, boxed)
        boxes = [reading] if reading else list(outside_boxes(self.where, boxed))
        self.problems += boxes
        of_masks = mask_problems(self.where, boxed, self.masks, known_boxes=reading is None)
        (self.problems if self.masks else self.notes).extend(of_masks)
        said = list(left_out(self.where, to_train, kept, rest))
        nothing = list(nothing_left(self.where, to_train, coco, kept)) if whole and not boxes else []
        (self.problems if nothing else self.notes).extend(said)
        self.problems += nothing
        if to_train:
            self.notes += empty_images(self.where, coco, kept, self.only)
        self.notes += [*box_remarks(self.where, boxed), *area_remarks(self.where, boxed)]
        self.notes += remarks(self.where, coco, kept)
        tally = Counter(annotation["category_id"] for annotation, _ in kept)
        self.classes = [category["name"] for category in coco["categories"]]
        self.tally = {category["name"]: tally[category["id"]] for category in coco["categories"]}
        self.images, self.left = len(coco["images"]), len(boxed) - len(kept)
        self.most = max(Counter(image["id"] for _, image in kept).values(), default=0)

    def digests(self) -> dict[str, str]:
        """Of each image that could be read, by its path below the root, what its bytes come to."""
        below = self.folder.relative_to(self.root)
        return {(below / name).as_posix(): seen.digest for name, seen in self.seen.items() if seen.digest}

    def image_folder(self, names: list[str]) -> Path:
        folder, self.tried = find_images(self.root, self.name, names, self.file.parent)
        return folder

    def split(self, labels: Sequence[str]) -> Split:
        """What was found, with the instances of each label."""
        per_class = tuple(self.tally[label] for label in labels)
        return Split(self.file, self.folder, self.images, sum(per_class), per_class, self.left, self.most)
