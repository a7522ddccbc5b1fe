"""What can be wrong with images sorted by class: names, files, classes of one split, the same image twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from .class_listing import Listing, is_one_tree, is_part
from .coco_entries import sentence
from .image_sentences import image_faults, image_remarks, shared_images
from .images_on_disk import IMAGE_SUFFIXES, Decoder, Seen, look_at_all, stamps
from .memory import Memory, one_at_a_time

FEW = 20  # images of a class, under which little is learnt of it
LAYOUTS = (
    "train/CLASS/*.jpg and val/CLASS/*.jpg, or as CLASS/*.jpg alone, of which a part is then kept for "
    "validation (ImageNet's and Tiny-ImageNet's own layouts are read too)"
)


@dataclass
class Check:
    """The splits, looked at: `problems`, `notes` and what was `seen` of each image."""

    root: Path
    listings: Mapping[str, Listing]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        return next(iter(self.listings.values())).classes

    def look(self, decoder: Decoder) -> None:
        """Every check, of names and then of images."""
        self.seen = see(
            self.root, [p for listing in self.listings.values() for p, _ in listing.samples], decoder
        )
        one_tree = is_one_tree(self.root)
        for name, listing in self.listings.items():
            where = f"{name} ({listing.source})"
            self.problems += listing_problems(where, listing)
            parts = [folder for folder in listing.folders if is_part(folder)]
            if (one_tree and name == "train") or len(parts) == len(listing.folders):
                what = (
                    "folders that are called as parts of a data set for detectors or segmenters are, not as "
                    f"classes; take a config of theirs, or lay images out as {LAYOUTS}"
                )
                self.problems += sentence(where, what, parts)
            if name == "train" or not one_tree:  # of one tree both list the same files
                self.notes += sentence(where, "files that are no images, passed over", listing.passed_over)
            seen = {path: self.seen[path] for path, _ in listing.samples if path in self.seen}
            self.problems += image_faults(where, seen)
            self.notes += image_remarks(where, seen)
            self.notes += self.few(where, listing) if name == "train" else ()
        if len(self.classes) == 1:
            self.problems.append(
                f"there is one class alone, {self.classes[0]}: a classifier tells classes apart; put the "
                f"images of each into a folder of its own"
            )
        self.compare_classes()
        self.problems += shared_images({n: self.digests(listing) for n, listing in self.listings.items()})
        self.notes += self.under_two_names()

    def compare_classes(self) -> None:
        """A class that only one split has: without training it cannot be told, without validation it can."""
        for name, listing in self.listings.items():
            where = f"{name} ({listing.source})"
            found = {label for _, label in listing.samples}
            unknown = sorted(found - set(self.classes))
            alike = [near for key in unknown for near in get_close_matches(key, self.classes, n=1)]
            hint = f"; is it {alike[0]}?" if alike else ""
            what = "classes that the training does not have, so that nothing is learnt of them"
            self.problems += (s + hint for s in sentence(where, what, unknown))
            if name != "train":
                missing = [label for label in self.classes if label not in found]
                self.notes += sentence(
                    where, "classes without an image here, learnt but not evaluated", missing
                )

    def few(self, where: str, listing: Listing) -> Iterator[str]:
        counts = Counter(label for _, label in listing.samples)
        few = (f"{label} ({counts[label]})" for label in self.classes if 0 < counts[label] < FEW)
        yield from sentence(where, f"classes with fewer than {FEW} images, of which little is learnt", few)

    def digests(self, listing: Listing) -> dict[str, str]:
        """Of each image that could be read, what its bytes come to."""
        return {p: self.seen[p].digest for p, _ in listing.samples if p in self.seen and self.seen[p].digest}

    def under_two_names(self) -> Iterator[str]:
        labels, paths = defaultdict(set), defaultdict(list)
        for listing in self.listings.values():
            digests = self.digests(listing)
            for path, label in listing.samples:
                if path in digests:
                    labels[digests[path]].add(label)
                    paths[digests[path]].append(path)
        torn = [" = ".join(paths[digest]) for digest, found in labels.items() if len(found) > 1]
        yield from sentence("all", "images that are of two classes, the same byte by byte", torn)


def listing_problems(where: str, listing: Listing) -> Iterator[str]:
    """What is wrong with the names alone."""
    for what, which in listing.faults.items():
        yield from sentence(where, what, which)
    filled = {label for _, label in listing.samples}
    empty = [name for name in listing.folders if name not in filled]
    if not filled:
        yield f"{where}: no image was found ({', '.join(IMAGE_SUFFIXES)}). Lay images out as {LAYOUTS}"
    else:
        what = "folders of classes without an image; remove them, or put images into them"
        yield from sentence(where, what, empty)
    yield from sentence(
        where, "images that are of no class; move each into its class's folder", listing.loose
    )


def see(root: Path, paths: list[str], decoder: Decoder) -> dict[str, Seen]:
    """What comes of decoding the images, each once as long as it does not change."""
    with one_at_a_time(root):
        memory: Memory[Seen] = Memory(root)
        now = stamps(root, paths)
        seen = memory.images(root, decoder, now)
        new = [path for path in now if path not in seen]
        if new:
            seen |= look_at_all(root, new, decoder)
            memory.keep(root, decoder, now, seen, None)
    return seen
