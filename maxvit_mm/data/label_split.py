"""One split of images and label images, looked at: what is wrong with it, how much of each class it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .coco_entries import legible, sentence
from .image_sentences import image_faults, image_remarks, too_small
from .images_on_disk import Decoder, Seen, in_threads, look_at_all, stamps
from .label_images import LabelSeen, label_problems, look_at_label
from .label_legend import LegendOfFolder
from .label_pairs import Pairs
from .memory import Memory


@dataclass(frozen=True)
class LabelSplit:
    """One split: its pairs, and the pixels of each label, in how many images; `nothing` counts the rest."""

    pairs: Pairs
    images: int
    per_class: tuple[int, ...]
    images_of_class: tuple[int, ...]
    nothing: int
    sizes: tuple[tuple[int, int], ...]  # width and height of each image


class Check:
    """One split, looked at."""

    def __init__(self, name: str, pairs: Pairs, legend: LegendOfFolder | None, decoder: Decoder):
        self.name, self.pairs = name, pairs
        self.where = f"{name} ({pairs.labels.name if pairs.is_voc else pairs.labels.parent.name})"
        coloured = legend is not None and legend.coloured
        self.pictures = self.look(pairs.images, list(pairs.of), decoder)
        self.seen = self.look_at_labels(list(pairs.of.values()), coloured)
        self.tally: dict[int, int] = {}
        for found in self.seen.values():
            for value, pixels in found.values:
                self.tally[value] = self.tally.get(value, 0) + pixels

    def look(self, folder: Path, names: list[str], decoder: Decoder) -> dict[str, Seen]:
        memory: Memory[Seen] = Memory(folder, part=f"images of {self.name}")
        now = stamps(folder, names)
        seen = memory.images(folder, decoder, now)
        seen |= look_at_all(folder, [name for name in now if name not in seen], decoder)
        memory.keep(folder, decoder, now, seen, None)
        return seen

    def look_at_labels(self, names: list[str], coloured: bool) -> dict[str, LabelSeen]:
        folder = self.pairs.labels
        memory: Memory[LabelSeen] = Memory(folder, part=f"labels of {self.name}", what=LabelSeen)
        now = stamps(folder, names)
        seen = memory.images(folder, ["labels", coloured], now)
        new = [name for name in now if name not in seen]
        seen |= in_threads(lambda name: look_at_label(folder / name, coloured), new, "reading label images")
        memory.keep(folder, ["labels", coloured], now, seen, None)
        return seen

    def problems(self, legend: LegendOfFolder | None) -> Iterator[str]:
        """Everything that is wrong."""
        pairs, where = self.pairs, self.where
        if not pairs.of and not pairs.unlabelled:
            yield f"{where}: empty, no image in {pairs.images}"
            return
        if pairs.is_voc:
            what = f"names in {pairs.list_file.name} without an image in {pairs.images.name}"  # type: ignore[union-attr]
        else:
            what = f"label images without an image of that name in {pairs.images}"
        yield from sentence(where, what, pairs.imageless)
        what = f"images without a label image, NAME.png in {pairs.labels}"
        yield from sentence(where, what, pairs.unlabelled)
        yield from sentence(where, "names that two files have, with different suffixes", pairs.alike)
        yield from image_faults(where, self.pictures)
        sound = {name: found for name, found in self.pictures.items() if not found.fault}
        yield from too_small(where, ((name, *found[:2]) for name, found in sound.items()))
        sizes = {pairs.of[name]: found[:2] for name, found in sound.items()}
        yield from label_problems(where, self.seen, legend, sizes)

    def notes(self, legend: LegendOfFolder, split: LabelSplit) -> Iterator[str]:
        """What should be known, though it can be trained on."""
        yield from image_remarks(self.where, self.pictures)
        unseen = [legible(c) for c, n in zip(legend.classes, split.per_class, strict=True) if not n]
        what = "classes of which there is no pixel, and which are never learnt"
        if self.name != "train":
            what = "classes of which there is no pixel, left out of mIoU where they are not predicted either"
        yield from sentence(self.where, what, unseen)
        empty = [
            name for name, found in self.seen.items() if not any(v in legend.names for v, _ in found.values)
        ]
        yield from sentence(self.where, "label images in which all is nothing", empty)

    def digests(self, root: Path) -> dict[str, str]:
        """Of each image that could be read, by path below `root`, what its bytes come to."""
        below = self.pairs.images.relative_to(root)
        found = {name: seen.digest for name, seen in self.pictures.items() if seen.digest}
        return {(below / name).as_posix(): digest for name, digest in found.items()}

    def split(self, legend: LegendOfFolder) -> LabelSplit:
        """What was found, with the pixels of each label."""
        appears = dict.fromkeys(legend.names, 0)
        for found in self.seen.values():
            for value, _ in found.values:
                if value in appears:
                    appears[value] += 1
        return LabelSplit(
            self.pairs,
            len(self.pairs.of),
            tuple(self.tally.get(key, 0) for key in legend.names),
            tuple(appears.values()),
            sum(pixels for value, pixels in self.tally.items() if value not in legend.names),
            tuple(found[:2] for found in self.pictures.values()),
        )
