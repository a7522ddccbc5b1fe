"""Label images, each decoded once: which values it has, and a sentence for each thing that is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .coco_entries import SHOWN, sentence
from .image_sentences import alike_said
from .images_on_disk import header
from .label_legend import LegendOfFolder
from .semantic_map import unpacked, values_in

LOSSLESS = ("PNG", "BMP", "TIFF", "GIF")
MOST_VALUES = 1000  # that are kept of an image: more are no classes
SIXTEEN_BITS = ("I", "I;16", "I;16B")


class LabelSeen(NamedTuple):
    """What came of decoding a label image, or what is wrong with it; `values` are pairs: value, pixels."""

    width: int = 0
    height: int = 0
    fault: str = ""
    mode: str = ""  # Pillow's
    grey: bool = True  # its channels are equal: it can be read as numbers
    values: list[list[int]] = []  # noqa: RUF012  (never changed)


def look_at_label(file: Path, coloured: bool) -> LabelSeen:
    """Decode a label image, for its colours or for its numbers."""
    try:
        content = file.read_bytes()
    except OSError as error:
        return LabelSeen(fault=f"cannot be read ({error.strerror})")
    kind, mode, (width, height), _, whole = header(content)
    if not kind:
        return LabelSeen(fault="are no images")
    if not whole:
        return LabelSeen(fault="are damaged or cut short: copy or download them again")
    if kind not in LOSSLESS:
        return LabelSeen(
            fault=f"are {kind}, which smears the numbers of neighbouring pixels into others: write PNG "
            f"instead, from the labels themselves, as a conversion keeps what was smeared"
        )
    if mode.startswith("F"):
        return LabelSeen(fault="hold floating-point values: write whole numbers, in 8 bits")
    grey = coloured or mode not in ("RGB", "RGBA") or is_grey(content)
    values, counts = np.unique(values_in(content, coloured or not grey), return_counts=True)
    most = np.argsort(-counts)[:MOST_VALUES]
    pairs = np.stack([values[most], counts[most]], axis=1).tolist()
    return LabelSeen(width, height, "", mode, grey, pairs)


def is_grey(content: bytes) -> bool:
    with Image.open(BytesIO(content)) as image:
        channels = np.asarray(image.convert("RGB"))
    return bool((channels == channels[..., :1]).all())


def label_problems(
    where: str, seen: dict[str, LabelSeen], legend: LegendOfFolder | None, sizes: dict[str, tuple[int, int]]
) -> Iterator[str]:
    """What keeps label images from being learnt from.

    Args:
        legend: None where the folder has no file of names.
        sizes: width and height of the image that belongs to each, where it could be read.
    """
    yield from alike_said(where, "label images that", {name: found.fault for name, found in seen.items()})
    sound = {name: found for name, found in seen.items() if not found.fault}
    yield from size_problems(where, sound, sizes)
    colourful = {name: found for name, found in sound.items() if not found.grey}
    if colourful:
        what = "label images of colours, without a legend that says which class a colour is"
        yield from sentence(where, what + written_as(colourful), colourful)
    yield from strange_values(where, {name: found for name, found in sound.items() if found.grey}, legend)


def written_as(colourful: dict[str, LabelSeen]) -> str:
    """How to write a legend for what was found."""
    tally: Counter[int] = Counter()
    for found in colourful.values():
        tally.update(dict(map(tuple, found.values)))  # type: ignore[arg-type]
    colours = [",".join(map(str, unpacked(colour))) for colour, _ in tally.most_common(3)]
    lines = " / ".join(f"NAME:{colour}::" for colour in colours)
    return (
        f". Write labelmap.txt beside the images, a line for each of the {len(tally)} colours: {lines}; "
        "or label images of class numbers"
    )


def size_problems(
    where: str, sound: dict[str, LabelSeen], sizes: dict[str, tuple[int, int]]
) -> Iterator[str]:
    other, turned = [], 0
    for name, found in sound.items():
        size = sizes.get(name)
        if size is not None and found[:2] != size:
            other.append(f"{name} ({found.width}x{found.height}, its image {size[0]}x{size[1]})")
            turned += found[:2] == size[::-1]
    what = "label images of another size than their image"
    if other and turned == len(other):
        what += ": width and height are exchanged. EXIF data turn an image, and no label image"
    yield from sentence(where, what, other)


def strange_values(where: str, sound: dict[str, LabelSeen], legend: LegendOfFolder | None) -> Iterator[str]:
    """Values for which the legend has no class."""
    if legend is None:
        return
    known = legend.names.keys() | legend.nothing
    files: dict[int, list[str]] = defaultdict(list)
    for name, found in sound.items():
        for value, _ in found.values:
            if value not in known:
                files[value].append(name)
    if not files:
        return
    deep = {name for value, names in files.items() if value > 255 for name in names}
    sixteen = [name for name in sorted(deep) if sound[name].mode in SIXTEEN_BITS and not legend.coloured]
    if sixteen:
        what = (
            f"label images of 16 bits with numbers up to {max(files)}, such as those of instances: write the "
            f"number of the class, 0 to 254, in 8 bits"
        )
        yield from sentence(where, what, sixteen)
        files = {value: names for value, names in files.items() if value <= 255}
    if files:
        values = sorted(files)
        named = (f"{legend.said(value)} in {files[value][0]}" for value in values)
        yield from sentence(where, f"values without a class{why(values, sound, legend)}", named)


def why(values: list[int], sound: dict[str, LabelSeen], legend: LegendOfFolder) -> str:
    """What may be behind values without a class, and how to mend it."""
    source = legend.file.name if legend.file else "the config"
    among = f", of the {len(legend.names)} that {source} names"
    if legend.coloured:
        if all(found.mode in ("L", "1", *SIXTEEN_BITS) for found in sound.values()):
            return f"{among}; the label images are no colours: classes.txt names numbers, a name a line"
        if len(values) > 3 * SHOWN:
            return f"{among}; so many come of a label image that was scaled or compressed: write them anew"
        return f"{among}: add NAME:R,G,B:: for each, without a NAME if it stands for nothing"
    count = len(legend.names)
    if values == [count] and legend.names.keys() == set(range(count)):
        return (
            f"{among}; numbers begin with 0. If 0 stands for nothing here, as in ADE20K, let the first line "
            f"of {source} be empty"
        )
    if len(values) > 3 * SHOWN:
        return f"{among}; so many come of scaling, compressing or making grey: make the label images anew"
    return f"{among}: name them there, or write 255 for nothing"
