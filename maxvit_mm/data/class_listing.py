"""Which image is of which class: folders of classes, a list beside images, or one tree that is parted.

Read off names alone, so that what checks a folder and what trains on it list the same.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .folder import ALIASES
from .images_on_disk import IMAGE_SUFFIXES

ONE_IN = 5  # of one tree, an image of so many of each class is kept for validation
LISTS = ("{folder}/{alias}_annotations.txt", "meta/{alias}.txt", "{folder}/{alias}.txt", "{alias}.txt")
WORDS = "words.txt"  # of WordNet: an id and its words in each line
# Folders of other tasks' data sets, which would pass for classes.
PARTS = re.compile(
    r"(train|val|test)(20\d\d)?|training|valid(ation)?|testing|images|labels|masks|annotations|img_dir|ann_dir|"
    r"jpegimages|segmentationclass|imagesets",
    re.IGNORECASE,
)
BYSTANDERS = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass
class Listing:
    """The images of a split, by path below the root, each with the name of its class.

    `classes` are the names of all classes of the root, in the order of their numbers.
    """

    source: str  # where it was read, below the root
    classes: list[str]
    samples: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)  # classes that have a folder here
    loose: list[str] = field(default_factory=list)  # images that are in the folder of no class, or in no list
    passed_over: list[str] = field(default_factory=list)  # files that are no images by their suffix
    faults: dict[str, list[str]] = field(default_factory=dict)  # what is wrong with lines, and with which

    def sort_in(self, path: str, name: str | None) -> None:
        """Take a file for what it is: an image of a class, an image of none, or something else."""
        if not is_image(path):
            self.passed_over.append(path)
        elif name is None:
            self.loose.append(path)
        else:
            self.samples.append((path, name))


def list_split(root: Path, split: str, seed: int = 0) -> Listing | None:
    """The images of a split; None where the root has no such split.

    Args:
        split: 'train', 'val' or 'test'.
        seed: by which one tree is parted into training and validation.
    """
    if is_one_tree(root):
        return parted(root, split, seed) if split != "test" and folders_in(root) else None
    folder = folder_of(root, split)
    if folder is None:
        return None
    ids = ids_of(root) or folders_in(folder)
    names = names_of(root, ids)
    within = folders_in(folder)
    file = list_of(root, split, folder)
    if file is not None and set(within) <= {"images"}:
        return from_list(root, folder, file, ids, names)
    found = Listing(f"{folder.name}/", [names[key] for key in ids])
    found.folders = [names.get(key, key) for key in within]
    for path in files_in(folder):
        key, inner, _ = path.partition("/")
        found.sort_in(f"{folder.name}/{path}", names.get(key, key) if inner else None)
    return found


def find_split(root: Path, split: str) -> Path | None:
    """The folder that holds a split, if there is one; it is not looked into further than for one image."""
    if not root.is_dir():
        return None
    if not is_one_tree(root):
        return folder_of(root, split)
    folders = folders_in(root)
    sorted_by_class = sum(any(map(is_image, files_in(root / name))) for name in folders) > 1
    if any(map(is_part, folders)):
        return None
    return root if sorted_by_class and split != "test" else None


def is_part(folder: str) -> bool:
    """Whether a folder is called as a part of another task's data set is, and not as a class."""
    return PARTS.fullmatch(folder) is not None


def is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_SUFFIXES)


def is_one_tree(root: Path) -> bool:
    return not any(folder_of(root, split) for split in ALIASES)


def folder_of(root: Path, split: str) -> Path | None:
    return next((root / alias for alias in ALIASES[split] if (root / alias).is_dir()), None)


def folders_in(folder: Path) -> list[str]:
    """The folders that may be those of classes, in MMPretrain's and torchvision's order."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_aside(path.name))


def files_in(folder: Path) -> Iterator[str]:
    """Paths below the folder."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_aside(name))
        below = Path(parent).relative_to(folder).as_posix()
        for name in sorted(files):
            if not is_aside(name):
                yield name if below == "." else f"{below}/{name}"


def is_aside(name: str) -> bool:
    """Whether a name is one that systems leave behind."""
    return name.startswith(".") or name.lower() in BYSTANDERS


def parted(root: Path, split: str, seed: int) -> Listing:
    """One tree of folders of classes. Of each class an image of `ONE_IN` is for validation, at least one.

    Which they are follows from the seed and their names, and so is the same at every time and place.
    """
    found = Listing(".", folders_in(root), folders=folders_in(root))
    by_class = defaultdict(list)
    for path in files_in(root):
        name, inner, _ = path.partition("/")
        found.sort_in(path, name if inner else None)
    for path, name in found.samples:
        by_class[name].append(path)
    kept: set[str] = set()
    for paths in by_class.values():
        by_lot = sorted(paths, key=lambda path: hashlib.sha256(f"{seed} {path}".encode()).digest())
        kept.update(by_lot[: math.ceil(len(paths) / ONE_IN)])
    found.samples = [(path, name) for path, name in found.samples if (path in kept) == (split == "val")]
    return found


def list_of(root: Path, split: str, folder: Path) -> Path | None:
    """The file that lists a split's images and their classes, if there is one."""
    paths = (root / form.format(folder=folder.name, alias=a) for a in ALIASES[split] for form in LISTS)
    return next((path for path in paths if path.is_file()), None)


def lines_of(file: Path) -> Iterator[tuple[int, str, str]]:
    """Number, image and class of each line: parted by a tab, else by the last space.

    What follows a second tab, in Tiny-ImageNet a box, is not read.
    """
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line := line.strip():
            path, _, rest = line.partition("\t") if "\t" in line else line.rpartition(" ")
            yield number, path.strip(), rest.partition("\t")[0].strip()


def from_list(root: Path, folder: Path, file: Path, ids: list[str], names: dict[str, str]) -> Listing:
    """The images of a folder by the lines of a file.

    A class is the name of a folder of the training, or a number: its place among their sorted names.
    """
    inside = folder / "images" if (folder / "images").is_dir() else folder
    below = inside.relative_to(root).as_posix()
    listed_in = file.relative_to(root).as_posix()
    found = Listing(f"{below}/ and {listed_in}", [names[key] for key in ids])
    there = {path for path in files_in(inside) if inside / path != file}
    absent, unknown, listed = [], [], set()
    for number, path, label in lines_of(file):
        key = ids[int(label)] if label not in names and is_place(label, ids) else label
        listed.add(path)
        if path not in there:
            absent.append(f"{number} ({path or 'one word'})")
        elif key not in names:
            unknown.append(f"{number} ({label})")
        else:
            found.samples.append((f"{below}/{path}", names[key]))
    found.faults = {
        f"lines of {listed_in} whose image is not in {below}/": absent,
        f"lines of {listed_in} with a class that the training does not have": unknown,
    }
    for path in sorted(there - listed):
        found.sort_in(f"{below}/{path}", None)
    return found


def is_place(label: str, ids: list[str]) -> bool:
    return label.isdecimal() and int(label) < len(ids)


def ids_of(root: Path) -> list[str]:
    """The classes of the training by their folders, or by the file that lists it, in their order."""
    folder = folder_of(root, "train")
    if folder is None:
        return []
    file = list_of(root, "train", folder)
    if file is None or not set(folders_in(folder)) <= {"images"}:
        return folders_in(folder)
    labels = {label for _, _, label in lines_of(file)}
    return in_order(labels)


def in_order(labels: Iterable[str]) -> list[str]:
    """Numbers by their size, names by the alphabet."""
    labels = set(labels)
    return sorted(labels, key=int) if all(map(str.isdecimal, labels)) else sorted(labels)


def names_of(root: Path, ids: list[str]) -> dict[str, str]:
    """What each class is called: as its folder, or of WordNet by its first word, where `words.txt` knows all.

    Of several classes with one word, each has its id behind it.
    """
    words = {}
    if (root / WORDS).is_file():
        for line in (root / WORDS).read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, meaning = line.partition("\t")
            words[key] = meaning.partition(",")[0].strip()
    if not ids or not all(words.get(key) for key in ids):
        return {key: key for key in ids}
    uses = Counter(words[key] for key in ids)
    return {key: words[key] if uses[words[key]] == 1 else f"{words[key]} ({key})" for key in ids}
