"""Where a folder keeps its images and its label images, and which belongs to which.

For a split called train (or training), val (valid, validation) or test (testing), these are looked for, in
this order; `{}` is the split:

    images/{}  with  annotations/{}, labels/{} or masks/{}     (ADE20K, and most)
    img_dir/{}  with  ann_dir/{}                               (MMSegmentation's tutorial)
    {}/images  with  {}/annotations, {}/labels or {}/masks
    {}  with  {}_labels, {}_masks or {}annot                   (CamVid)
    JPEGImages  with  SegmentationClass or SegmentationClassPNG, and the names in
        ImageSets/Segmentation/{}.txt                          (PASCAL VOC, CVAT, labelme)

A label image has its image's name, with another suffix, or with one of `ENDINGS` before it.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from .folder import ALIASES
from .images_on_disk import IMAGE_SUFFIXES

LAYOUTS = (
    *[("images/{}", f"{labels}/{{}}") for labels in ("annotations", "labels", "masks")],
    ("img_dir/{}", "ann_dir/{}"),
    *[("{}/images", f"{{}}/{labels}") for labels in ("annotations", "labels", "masks")],
    *[("{}", f"{{}}{ending}") for ending in ("_labels", "_masks", "annot")],
)
VOC_IMAGES, VOC_LABELS = "JPEGImages", ("SegmentationClass", "SegmentationClassPNG")
VOC_LIST = "ImageSets/Segmentation/{}.txt"
ENDINGS = ("", "_mask", "_masks", "_label", "_labels", "_seg", "_gt", "_L")
SUFFIXES = (*IMAGE_SUFFIXES, ".gif")  # which keeps numbers as well


class Pairs(NamedTuple):
    """One split: `of` has the label image of each image, both as paths below their folders, with /."""

    images: Path
    labels: Path
    of: dict[str, str]
    unlabelled: list[str]  # images without a label image
    imageless: list[str]  # label images without an image
    alike: list[str]  # names, without suffix, that several images have
    list_file: Path | None = None

    @property
    def is_voc(self) -> bool:
        return self.list_file is not None


def find_folders(root: Path, split: str) -> tuple[Path, Path, Path | None] | None:
    """The images and label images of a split, and the list of its names if there is one; not looked into.

    Returns:
        None where no two folders of a known layout are there.
    """
    for images, labels in LAYOUTS:
        for alias in ALIASES[split]:
            folders = root / images.format(alias), root / labels.format(alias)
            if all(folder.is_dir() for folder in folders):
                return *folders, None
    for labels in VOC_LABELS:
        for alias in ALIASES[split]:
            file = root / VOC_LIST.format(alias)
            if (root / VOC_IMAGES).is_dir() and (root / labels).is_dir() and file.is_file():
                return root / VOC_IMAGES, root / labels, file
    return None


def find_pairs(root: Path, split: str) -> Pairs | None:
    """The pairs of a split; None as `find_folders` says."""
    found = find_folders(root, split)
    if found is None:
        return None
    images, labels, file = found
    return matched(images, labels) if file is None else listed(images, labels, file)


def is_voc(root: Path) -> bool:
    """Whether a folder is laid out as PASCAL VOC is."""
    found = (find_folders(root, split) for split in ALIASES)
    return any(folders is not None and folders[2] is not None for folders in found)


def looked_for(split: str) -> str:
    """The places of `find_pairs`, for a message."""
    name = ALIASES[split][0]
    shown = [f"{images} with {labels}".format(name, name) for images, labels in LAYOUTS]
    return f"{', '.join(shown)}, {VOC_IMAGES} with {VOC_LABELS[0]} and {VOC_LIST.format(name)}"


def files_by_stem(folder: Path) -> dict[str, list[str]]:
    """Images below a folder, by their path without the suffix."""
    found = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        hidden = path.name.startswith(".")
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            found[path.relative_to(folder).with_suffix("").as_posix()].append(
                path.relative_to(folder).as_posix()
            )
    return found


def matched(images: Path, labels: Path, names: list[str] | None = None, file: Path | None = None) -> Pairs:
    """Pairs of two folders, of the `names` alone where there are some."""
    pictures, maps = files_by_stem(images), files_by_stem(labels)
    wanted = list(pictures) if names is None else names
    of, unlabelled, taken = {}, [], set()
    for stem in wanted:
        label = next((stem + ending for ending in ENDINGS if stem + ending in maps), None)
        if stem not in pictures:
            continue
        if label is None:
            unlabelled.append(pictures[stem][0])
        else:
            of[pictures[stem][0]] = maps[label][0]
            taken.add(label)
    alike = [stem for stem, same in pictures.items() if len(same) > 1]
    alike += [stem for stem, same in maps.items() if len(same) > 1]
    if names is None:
        imageless = [maps[stem][0] for stem in maps if stem not in taken]
    else:
        alike = [stem for stem in alike if stem in set(names)]
        imageless = [stem for stem in names if stem not in pictures]
    return Pairs(images, labels, of, unlabelled, imageless, alike, file)


def listed(images: Path, labels: Path, file: Path) -> Pairs:
    """Pairs of the names in a list, one a line."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    return matched(images, labels, list(dict.fromkeys(line for line in lines if line)), file)
