"""A folder of images and label images: what lies in it, and every reason why it could not be trained on.

`label_pairs` says which folders are looked for, `label_legend` how classes are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .folder import ALIASES, DataError, chosen_labels, counts_of, unusable
from .image_sentences import shared_images
from .images_on_disk import Decoder
from .label_legend import FILES, LegendOfFolder, read_legend
from .label_pairs import find_pairs, looked_for
from .label_split import Check, LabelSplit
from .listing import in_columns
from .memory import one_at_a_time


@dataclass(frozen=True)
class LabelFolder:
    """A folder that can be trained on; `classes` are in the order of the label numbers."""

    root: Path
    splits: dict[str, LabelSplit]
    legend: LegendOfFolder
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return self.legend.classes

    def only(self, classes: Sequence[str]) -> LabelFolder:
        """The folder as if it had these classes alone, in this order: all others are nothing.

        Raises:
            DataError: where it has no such class, or a split has no pixel of them.
        """
        labels = chosen_labels(self, classes)
        if len(classes) < 2:
            raise DataError(
                f"--classes: {classes[0]} alone: all other pixels would be nothing, and no answer wrong. Add "
                f"the class that the rest belongs to; the classes are {', '.join(self.classes)}"
            )
        splits = {}
        for name, per_class in counts_of(self, labels, "pixel").items():
            split = self.splits[name]
            splits[name] = replace(
                split,
                per_class=per_class,
                images_of_class=tuple(split.images_of_class[label] for label in labels),
                nothing=split.nothing + sum(split.per_class) - sum(per_class),
            )
        return replace(self, splits=splits, legend=self.legend.only(classes))

    def describe(self, width: int = 100) -> str:
        """The splits, the share of each class and the notes; `width` in characters."""
        lines = [f"{self.root}, number of classes: {len(self.classes)}"]
        for name, split in self.splits.items():
            images, labels = (f.relative_to(self.root) for f in (split.pairs.images, split.pairs.labels))
            lines.append(f"  {name:<5}  {split.images:>7,} images  {images}/, label images in {labels}/")
        lines.append(f"pixels of each class, {' / '.join(self.splits)}:")
        shares = ([share(n, split) for n in split.per_class] for split in self.splits.values())
        lines += in_columns(self.classes, [" / ".join(each) for each in zip(*shares, strict=True)], width)
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def share(pixels: int, split: LabelSplit) -> str:
    return f"{pixels / max(1, sum(split.per_class)):.2%}"


def inspect_labels(
    root: Path,
    names: Sequence[str] = ("train", "val"),
    decoder: Decoder | None = None,
    own: Mapping[int, str] | None = None,
) -> LabelFolder:
    """Find and check the splits below `root`.

    Args:
        names: the splits that are needed, of 'train', 'val' and 'test'.
        decoder: what will decode the images.
        own: names by number, where the folder has no file of them. Without these, the numbers of all splits
            that are there are classes.

    Raises:
        DataError: with everything that is wrong, in one message.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; name the one that holds the images and label images")
    problems: list[str] = []
    legend = read_legend(root, problems)
    if legend is None and own:
        legend = LegendOfFolder(None, dict(own), frozenset({0, 255} - own.keys()))
    numbered = legend is None and not problems
    looked_at = {}
    for name in dict.fromkeys((*names, *ALIASES)) if numbered else names:
        pairs = find_pairs(root, name)
        if pairs is not None:
            with one_at_a_time(pairs.labels):
                looked_at[name] = Check(name, pairs, legend, decoder or Decoder())
        elif name in names:
            problems.append(f"{name}: no images with label images. Looked for {looked_for(name)}")
    if numbered and all(found.grey for check in looked_at.values() for found in check.seen.values()):
        legend = by_number({value for check in looked_at.values() for value in check.tally}, problems)
    checked = {name: check for name, check in looked_at.items() if name in names}
    problems += [problem for check in checked.values() for problem in check.problems(legend)]
    if legend is not None and len(legend.names) == 1:
        problems.append(alone(legend))
    if problems or legend is None:
        raise unusable(root, problems)
    splits = {name: check.split(legend) for name, check in checked.items()}
    notes = [note for name, check in checked.items() for note in check.notes(legend, splits[name])]
    notes += shared_images({name: check.digests(root) for name, check in checked.items()})
    return LabelFolder(root, splits, legend, (*about(legend, splits), *notes))


def by_number(values: set[int], problems: list[str]) -> LegendOfFolder | None:
    """Classes called by their numbers, where no file names them."""
    numbers = sorted(values - {255})
    if not numbers:
        if values:
            problems.append("label images hold 255 alone, which stands for nothing where it has no name")
        return None
    if numbers[-1] < 255 and numbers[-1] - numbers[0] + 1 == len(numbers) and numbers[0] < 2:
        return LegendOfFolder(None, {n: f"class {n}" for n in numbers}, frozenset({0, 255} - set(numbers)))
    if numbers[-1] > 255:
        problems.append(
            f"label images with numbers up to {numbers[-1]:,}, such as those of instances in 16 bits: write "
            f"the number of each pixel's class, 0 to 254, in 8 bits"
        )
        return None
    shown = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
    problems.append(
        f"label images with the numbers {shown}, which do not count from 0 or 1 on: a palette or colours "
        f"that were turned to grey? If they are class numbers, name them in classes.json, "
        f'{{"{numbers[0]}": "NAME", ...}}; if not, write label images of class numbers'
    )
    return None


def alone(legend: LegendOfFolder) -> str:
    """One class, beside nothing: no answer could be wrong."""
    ((number, name),) = legend.names.items()
    if legend.coloured:
        return f"one class alone, {name}: add the one of all other pixels to {legend.file.name}"  # type: ignore[union-attr]
    other = min({0, 255} - {number})
    first, second = sorted([(number, name), (other, "background" if number else "object")])
    example = f'{{"{first[0]}": "{first[1]}", "{second[0]}": "{second[1]}"}}'.replace("class 0", "background")
    return (
        f"one class alone, number {number}: 0 and 255 stand for nothing where they have no name, and no "
        f"answer could be wrong. If {other} is a class, name it: write classes.json, {example}"
    )


def about(legend: LegendOfFolder, splits: dict[str, LabelSplit]) -> Iterator[str]:
    """How the classes were told apart from nothing."""
    if legend.file is None and next(iter(legend.names.values())) == f"class {next(iter(legend.names))}":
        yield (
            f"no file names the classes, which are called by their numbers; {FILES[1]} would name them, a "
            f"name a line, from number 0 on"
        )
        if 0 in legend.names:
            yield "number 0 is a class: if it stands for nothing, let the first line of that file be empty"
    total = sum(sum(split.per_class) + split.nothing for split in splits.values())
    ignored = sum(split.nothing for split in splits.values())
    if ignored:
        keys = sorted(legend.nothing)
        which = ", ".join(map(legend.said, keys[:5])) + (", ..." if len(keys) > 5 else "")
        yield (
            f"{ignored / total:.1%} of the pixels are nothing, neither learnt nor evaluated: {which} in the "
            f"label images {'stands' if len(keys) == 1 else 'stand'} for no class"
        )
