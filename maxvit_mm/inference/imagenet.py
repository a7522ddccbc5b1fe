"""ImageNet's classes, and images in its layout of folders."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..data.images_on_disk import IMAGE_SUFFIXES
from ..weights import shorten
from .images import ImageError

CLASSES = Path(__file__).with_name("imagenet_1k.txt")


def imagenet_classes() -> tuple[list[str], list[str]]:
    """WordNet ids and names of the 1000 classes, in the order of their index."""
    lines = [line.split(maxsplit=1) for line in CLASSES.read_text().splitlines() if not line.startswith("#")]
    return [wnid for wnid, _ in lines], [name for _, name in lines]


def labelled_images(folder: Path, classes: int) -> tuple[list[Path], Tensor]:
    """The images of a folder in ImageNet's layout, `folder/<class>/<image>`, and the index of each's class.

    Of ImageNet-1k, folders are WordNet ids and some may be missing. Of other classifiers there is a folder
    for every class, in alphabetical order.

    Raises:
        ImageError: where the folders do not fit the classes, or there is no image.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    ids = imagenet_classes()[0] if classes == 1000 else names
    unknown = sorted(set(names) - set(ids))
    if not names or unknown or len(ids) != classes:
        found = f"unknown folders {shorten(unknown, 3)}" if unknown else f"{len(names)} folders"
        raise ImageError(
            f"{folder} has {found}, where {classes} classes need a folder each"
            + (", named by its WordNet id (n01440764, ...)" if classes == 1000 else "")
        )
    index = {name: i for i, name in enumerate(ids)}
    pairs = [
        (path, index[name])
        for name in names
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not pairs:
        raise ImageError(f"{folder} has folders but no image in them ({', '.join(IMAGE_SUFFIXES)})")
    return [path for path, _ in pairs], torch.tensor([label for _, label in pairs])
