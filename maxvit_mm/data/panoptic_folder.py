"""A folder with COCO's panoptic annotations: what lies in it, and each reason why it could not be trained on.

A JSON file names the segments of each image, and a PNG with the image's name has their ids as colours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np

from .coco_entries import Coco, Entry, class_problems, entry_problems, load, sentence, sound_entries
from .coco_folder import ALIASES, find_annotations, find_images, no_garbage_collection
from .folder import DataError, unusable
from .image_sentences import image_problems, image_remarks
from .images_on_disk import Decoder, in_threads, look_at_all, quiet_decoders, stamps
from .listing import class_table
from .memory import one_at_a_time
from .panoptic_segments import PANOPTIC, SEGMENT, segments_of
from .semantic_map import packed

ANNOTATIONS = ("annotations/panoptic_{}2017.json", "annotations/panoptic_{}.json", "panoptic_{}.json")


class PanopticSplit(NamedTuple):
    """One split: its files, how much is in them, and the segments of each label, crowds left out."""

    annotation_file: Path
    image_folder: Path
    map_folder: Path
    images: int
    per_class: tuple[int, ...]
    most: int  # things of the fullest image


@dataclass(frozen=True)
class PanopticFolder:
    """A folder that can be trained on; `classes` are in the order of their labels: things, then stuff."""

    root: Path
    splits: dict[str, PanopticSplit]
    things: tuple[str, ...]
    stuff: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return *self.things, *self.stuff

    def only(self, classes: Sequence[str]) -> PanopticFolder:
        """Nothing: a panoptic map has a class for every pixel.

        Raises:
            DataError: always.
        """
        raise DataError(
            f"a panoptic network learns all classes of {self.root}, not {', '.join(classes)} alone: leave "
            f"--classes out, or test a checkpoint that was trained on {', '.join(self.classes)}"
        )

    def describe(self, width: int = 100) -> str:
        """The splits, the segments of each class and the notes; `width` in characters."""
        lines = [f"{self.root}, number of classes: {len(self.things)} things, {len(self.stuff)} stuff"]
        for name, split in self.splits.items():
            parts = (split.annotation_file, split.image_folder, split.map_folder)
            file, images, maps = (part.relative_to(self.root) for part in parts)
            counts = f"{split.images:>7,} images  {sum(split.per_class):>7,} segments"
            lines.append(f"  {name:<5}  {counts}  {file}, images in {images}/, maps in {maps}/")
        per_class = {name: split.per_class for name, split in self.splits.items()}
        lines += class_table(self.classes, per_class, "segments", width)
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def find_panoptic(root: Path, name: str) -> Path | None:
    """The panoptic annotation file of a split, if there is one."""
    return next((root / path for path in places(name) if (root / path).is_file()), None)


def places(name: str) -> list[str]:
    """Where a split's panoptic annotation file is looked for, below the root."""
    return [path.format(alias) for alias in ALIASES[name] for path in ANNOTATIONS]


@no_garbage_collection()
def inspect_panoptic(
    root: Path, names: Sequence[str] = ("train", "val"), decoder: Decoder | None = None
) -> PanopticFolder:
    """Find and check the splits below `root`.

    Args:
        names: the splits that are needed, of 'train', 'val' and 'test'. The first one's classes, things
            before stuff, are the labels.
        decoder: what will decode the images.

    Raises:
        DataError: with everything that is wrong, in one message.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; name the one that holds the annotation files")
    problems: list[str] = []
    checked = {}
    for name in names:
        file = find_panoptic(root, name)
        if file is not None:
            with one_at_a_time(file):
                checked[name] = Check(root, name, file, decoder or Decoder())
                problems += checked[name].problems
            continue
        there = find_annotations(root, name)
        hint = f"; {there.relative_to(root)} has instances, for a Mask R-CNN" if there else ""
        problems.append(f"{name}: no panoptic annotation file. Looked for {', '.join(places(name))}{hint}")
    kinds = {
        name: [f"{each} ({'thing' if thing else 'stuff'})" for each, thing in check.classes.items()]
        for name, check in checked.items()
        if check.classes
    }
    problems += class_problems(kinds)
    if problems:
        raise unusable(root, problems)
    first = checked[names[0]].classes
    things = tuple(name for name, thing in first.items() if thing)
    stuff = tuple(name for name, thing in first.items() if not thing)
    splits = {name: check.split((*things, *stuff)) for name, check in checked.items()}
    return PanopticFolder(root, splits, things, stuff, tuple(n for c in checked.values() for n in c.notes))


class Check:
    """One split, looked at: `problems`, `notes`, and what a `PanopticSplit` says."""

    def __init__(self, root: Path, name: str, file: Path, decoder: Decoder):
        self.file, self.maps = file, file.with_suffix("")
        self.where = f"{name} ({file.relative_to(root)})"
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.classes: dict[str, bool] = {}  # whether each is a thing
        found = load(self.where, file, self.problems, self.notes, PANOPTIC)
        if found is None:
            return
        self.coco, incomplete = found
        names = [image["file_name"] for image in self.coco["images"]]
        self.folder, tried = find_images(root, name, names, file.parent)
        seen = look_at_all(self.folder, list(stamps(self.folder, names)), decoder)
        self.problems += image_problems(self.where, self.folder, self.coco["images"], seen, tried)
        self.notes += image_remarks(self.where, seen)
        inside = [segment for each in self.coco["annotations"] for segment in each["segments_info"]]
        sound_entries(self.where, "segments", inside, SEGMENT, self.problems)
        self.segments = segments_of(self.coco["annotations"])
        if not self.problems:
            flat = {**self.coco, "annotations": self.segments}
            self.problems += entry_problems(self.where, flat, incomplete)
            self.problems += pairing_problems(self.where, self.coco)
        if not self.problems:
            self.problems += map_problems(self.where, self.maps, self.coco)
        self.classes = {each["name"]: bool(each["isthing"]) for each in self.coco["categories"]}
        if not self.problems and len(set(self.classes.values())) < 2:
            which = "things" if not any(self.classes.values()) else "stuff"
            self.problems.append(
                f"{self.where}: no category is {which}, and a panoptic network has heads for both; "
                f"for things alone take a Mask R-CNN, for stuff alone a segmenter"
            )

    def split(self, labels: Sequence[str]) -> PanopticSplit:
        """What was found, with the segments of each label."""
        numbers = {each["name"]: each["id"] for each in self.coco["categories"]}
        things = {numbers[name] for name, thing in self.classes.items() if thing}
        kept = [each for each in self.segments if not each["iscrowd"]]
        tally = Counter(each["category_id"] for each in kept)
        filled = Counter(each["image_id"] for each in kept if each["category_id"] in things)
        per_class = tuple(tally[numbers[label]] for label in labels)
        most, images = max(filled.values(), default=0), len(self.coco["images"])
        return PanopticSplit(self.file, self.folder, self.maps, images, per_class, most)


def map_name(image: str) -> str:
    """The PNG that MMDetection looks for, by an image's file name."""
    return PurePosixPath(image).name.replace(".jpg", ".png")


def pairing_problems(where: str, coco: Coco) -> Iterator[str]:
    """Images and maps that do not stand beside each other as MMDetection expects."""
    stated = Counter(each["image_id"] for each in coco["annotations"])
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    unpaired = (name for i, name in names.items() if stated[i] != 1)
    yield from sentence(where, "images that have not one annotation, but none or several", unpaired)
    stray = (each["file_name"] for each in coco["annotations"] if each["image_id"] not in names)
    yield from sentence(where, "annotations whose 'image_id' is not among the images", stray)
    deep = (name for name in names.values() if "/" in name)
    yield from sentence(where, "images in folders of their own, whose maps MMDetection does not find", deep)
    other = (
        f"{each['file_name']} (of {names[each['image_id']]})"
        for each in coco["annotations"]
        if each["image_id"] in names and each["file_name"] != map_name(names[each["image_id"]])
    )
    what = "maps that are not called as their images, with .png in the place of .jpg: rename them"
    yield from sentence(where, what, other)


def map_problems(where: str, maps: Path, coco: Coco) -> Iterator[str]:
    """PNG files that are missing, cannot be read, or say something else than the annotation file."""
    images = {image["id"]: image for image in coco["images"]}
    annotations = {each["file_name"]: each for each in coco["annotations"]}
    there = list(stamps(maps, annotations)) if maps.is_dir() else []
    missing = [name for name in annotations if name not in set(there)]
    yield from sentence(where, f"maps missing from {maps}", missing)

    def look(name: str) -> str:
        return map_fault(maps / name, annotations[name], images[annotations[name]["image_id"]])

    with quiet_decoders():
        faults = in_threads(look, there, "maps")
    yield from sentence(
        where, "maps that do not fit", (f"{n}: {fault}" for n, fault in faults.items() if fault)
    )


def map_fault(file: Path, annotation: Entry, image: Entry) -> str:
    """What is wrong with a map; nothing if it fits."""
    pixels = cv2.imread(str(file))  # blue first, as in `packed` red is
    if pixels is None:
        return "no image that can be read"
    height, width = pixels.shape[:2]
    if (width, height) != (image["width"], image["height"]):
        return f"{width}x{height}, and its image {image['width']}x{image['height']}"
    painted = set(np.unique(packed(pixels)).tolist()) - {0}
    named = {segment["id"] for segment in annotation["segments_info"]}
    if painted - named:
        return f"has the id {min(painted - named)}, which the annotation does not name"
    return f"has no pixel of the id {min(named - painted)}" if named - painted else ""
