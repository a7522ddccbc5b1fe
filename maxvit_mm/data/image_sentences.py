"""What was seen of images on disk, said: a sentence for each thing that is wrong or remarkable."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path, PureWindowsPath

from ..network.trunk import SMALLEST_IMAGE
from .coco_entries import Entry, sentence
from .images_on_disk import Seen


def image_problems(
    where: str, folder: Path, images: list[Entry], seen: dict[str, Seen], tried: list[str]
) -> Iterator[str]:
    """Images that are not on disk, cannot be read, or are not of the stated size.

    Args:
        folder: which holds most of the images, of those that were `tried`.
    """
    if images and not seen:
        name = where.partition(" ")[0]
        yield (
            f"{where}: none of its {len(images)} images was found, such as {images[0]['file_name']}; looked "
            f"in {', '.join(tried)}. Put them into {name}/, each as its 'file_name' says"
            f"{alike(folder, images, seen)}"
        )
        return
    missing = (image["file_name"] for image in images if image["file_name"] not in seen)
    what = f"images missing from {folder}"
    yield from (s + alike(folder, images, seen) for s in sentence(where, what, missing))
    resized, turned = [], 0
    for image in (image for image in images if image["file_name"] in seen):
        found, stated = seen[image["file_name"]], (image["width"], image["height"])
        if not found.fault and found[:2] != stated:
            real, said = ("x".join(map(str, each)) for each in (found[:2], stated))
            resized.append(f"{image['file_name']} ({real}, stated {said})")
            turned += found[:2] == stated[::-1]
    yield from image_faults(where, seen)
    what = "images of another size than stated (EXIF applied)"
    if resized and turned == len(resized):
        what += ": width and height are exchanged, or a turn that EXIF asks for was overlooked"
    yield from sentence(where, what, resized)
    yield from too_small(where, ((i["file_name"], i["width"], i["height"]) for i in images))


def too_small(where: str, images: Iterable[tuple[str, int, int]]) -> Iterator[str]:
    """Images that the network does not take. `images`: name, width and height of each."""
    small = (f"{name} ({w}x{h})" for name, w, h in images if min(w, h) < SMALLEST_IMAGE)
    what = f"images under {SMALLEST_IMAGE} pixels, which MaxViT cannot take"
    yield from sentence(where, what, small)


def alike(folder: Path, images: list[Entry], seen: dict[str, Seen]) -> str:
    """A hint where a file has the name of a missing one, less its folders, its suffix or its case."""
    there = {path.stem.casefold(): path.name for path in folder.iterdir() if path.is_file()}
    for name in (image["file_name"] for image in images if image["file_name"] not in seen):
        stem = PureWindowsPath(name).stem.strip().casefold()  # splits at both slashes
        if stem in there:
            return f"; for {name} there is {there[stem]}: write 'file_name' as the folder has it, with /"
    return ""


def image_faults(where: str, seen: Mapping[str, Seen]) -> Iterator[str]:
    yield from alike_said(where, "files that", {name: found.fault for name, found in seen.items()})


def image_remarks(where: str, seen: Mapping[str, Seen]) -> Iterator[str]:
    yield from alike_said(where, "images that", {name: found.remark for name, found in seen.items()})


def shared_images(digests: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Images that are in two splits, one file or the same bytes: what was learnt would be what is evaluated.

    Args:
        digests: of each image, by split and by path.
    """
    paths = {split: {digest: path for path, digest in each.items()} for split, each in digests.items()}
    for one, other in combinations(paths, 2):
        both = paths[one].keys() & paths[other].keys()
        pairs = sorted((paths[one][digest], paths[other][digest]) for digest in both)
        what = "images in both: scores would say little; take each out of one of the two"
        yield from sentence(f"{one} and {other}", what, (first for first, second in pairs if first == second))
        what = "images in both, the same byte by byte: scores would say little; remove one of each"
        copies = (f"{first} = {second}" for first, second in pairs if first != second)
        yield from sentence(f"{one} and {other}", what, copies)


def alike_said(where: str, what: str, said: Mapping[str, str]) -> Iterator[str]:
    """One sentence for all of which the same is said."""
    names = defaultdict(list)
    for name, saying in said.items():
        names[saying].append(name)
    for saying in filter(None, names):
        yield from sentence(where, f"{what} {saying}", names[saying])
