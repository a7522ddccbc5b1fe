"""Which class a number or a colour of a label image stands for: read from a file beside the images.

One of these, in the folder itself:

    classes.txt           a name a line; the first line is number 0 (class_names.txt likewise)
    classes.json          ["road", "car"], {"1": "road", "255": "car"}, {"road": 1} or {"road": [128, 64, 9]}
    labelmap.txt          CVAT's: name:red,green,blue:: on each line
    class_dict.csv        name,r,g,b on each line
    objectInfo150.txt     ADE20K's

A name that is empty, or null in JSON, stands for nothing: such pixels are neither learnt nor evaluated.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .semantic_map import MOST_CLASSES, packed, unpacked

FILES = (
    "classes.json",
    "classes.txt",
    "class_names.txt",
    "labelmap.txt",
    "class_dict.csv",
    "objectInfo150.txt",
)
USUAL_NOTHING = (0, 255)  # numbers that stand for nothing where they have no name
Key = int | tuple[int, int, int]


@dataclass(frozen=True)
class LegendOfFolder:
    """`names` by number, or by red, green and blue in one number; `nothing` are those without a name."""

    file: Path | None
    names: dict[int, str] = field(default_factory=dict)
    nothing: frozenset[int] = frozenset()
    coloured: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.names.values())

    @property
    def keys(self) -> list[Any]:
        """By label: numbers, or colours of three."""
        return [list(unpacked(key)) for key in self.names] if self.coloured else list(self.names)

    def said(self, key: int) -> str:
        return "({}, {}, {})".format(*unpacked(key)) if self.coloured else str(key)

    def only(self, classes: Sequence[str]) -> LegendOfFolder:
        """With these classes alone, in this order; all others are nothing."""
        known = {name: key for key, name in self.names.items()}
        kept = {known[name]: name for name in classes}
        nothing = self.nothing | (self.names.keys() - kept.keys())
        return LegendOfFolder(self.file, kept, frozenset(nothing), self.coloured)


def read_legend(root: Path, problems: list[str]) -> LegendOfFolder | None:
    """The legend of a folder; None where there is none, or it is not sound, as `problems` then say."""
    file = next((root / name for name in FILES if (root / name).is_file()), None)
    if file is None:
        return None
    try:
        entries = entries_of(file)
    except (ValueError, UnicodeDecodeError) as error:
        problems.append(f"{file.name}: {error}")
        return None
    wrong = list(entry_faults(entries))
    problems += [f"{file.name}: {fault}" for fault in wrong]
    if wrong:
        return None
    coloured = isinstance(entries[0][0], tuple)
    named = {int(packed(key)) if isinstance(key, tuple) else key: name for key, name in entries}
    if not coloured:
        named = dict(sorted(named.items()))
    names = {key: name for key, name in named.items() if name}
    nothing = {key for key, name in named.items() if not name}
    if not coloured:
        nothing |= set(USUAL_NOTHING) - names.keys()
    return LegendOfFolder(file, names, frozenset(nothing), coloured)


def entries_of(file: Path) -> list[tuple[Key, str]]:
    """Keys and names, in the file's order.

    Raises:
        ValueError: says in which line, and what is meant.
    """
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".json":
        return json_entries(text)
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    if file.name == "labelmap.txt":
        written = ((n, line) for n, line in lines if line and not line.startswith("#"))
        return [colour_entry(n, *line.split(":")[:2], how="name:red,green,blue") for n, line in written]
    if file.name == "class_dict.csv":
        rows = ((n, line) for n, line in lines[1:] if line)
        return [colour_entry(n, *line.partition(",")[::2], how="name,red,green,blue") for n, line in rows]
    if file.name == "objectInfo150.txt":
        cells = (line.split("\t") for _, line in lines[1:] if line)
        return [(int(row[0]), row[-1].split(",")[0].strip()) for row in cells]
    while lines and not lines[-1][1]:
        lines.pop()  # an empty line within the names is a number without one, at the end it is none
    return [(number - 1, line) for number, line in lines]


def colour_entry(line: int, name: str, colour: str = "", *, how: str) -> tuple[Key, str]:
    try:
        red, green, blue = (int(value) for value in colour.split(","))
    except ValueError:
        raise ValueError(f"line {line} is not {how}, three numbers of 0 to 255") from None
    return (red, green, blue), name.strip()


def json_entries(text: str) -> list[tuple[Key, str]]:
    content = json.loads(text)
    if isinstance(content, list):
        return [(number, name or "") for number, name in enumerate(content)]
    if not isinstance(content, dict):
        raise ValueError('is neither ["NAME", ...] nor {"NUMBER": "NAME", ...}')
    entries: list[tuple[Key, str]] = []
    for left, right in content.items():
        if type(right) is int:
            entries.append((right, left))
        elif isinstance(right, list):
            entries.append((tuple(right), left))
        elif left.strip().isdecimal():
            entries.append((int(left), right or ""))
        else:
            raise ValueError(
                f'{json.dumps(left)}: {json.dumps(right)} is neither "NUMBER": "NAME" nor "NAME": NUMBER nor '
                '"NAME": [RED, GREEN, BLUE]'
            )
    return entries


def entry_faults(entries: list[tuple[Key, Any]]) -> Iterable[str]:
    """What makes a legend unsound."""
    kinds = {isinstance(key, tuple) for key, _ in entries}
    names = [name for _, name in entries if name]
    if len(kinds) > 1:
        yield "has colours and numbers: write one of them for all classes"
    if not names:
        yield "names no class"
    if any(not isinstance(name, str) for name in names):
        yield "has names that are no texts"
        return
    for what, values in (("names", names), ("numbers or colours", [key for key, _ in entries])):
        twice = [str(value) for value, count in Counter(values).items() if count > 1]
        if twice:
            yield f"has {what} twice: {', '.join(twice[:5])}"
    bad = [
        str(key)
        for key, _ in entries
        if (isinstance(key, tuple) and not is_colour(key)) or (isinstance(key, int) and not 0 <= key < 2**16)
    ]
    if bad:
        what = "has keys that are neither numbers of 0 to 65535 nor colours of three, 0 to 255"
        yield f"{what}: {', '.join(bad[:5])}"
    if len(names) > MOST_CLASSES:
        yield f"names {len(names)} classes, and MMSegmentation keeps labels in 8 bits: {MOST_CLASSES} at most"


def is_colour(key: tuple[Any, ...]) -> bool:
    return len(key) == 3 and all(type(value) is int and 0 <= value <= 255 for value in key)
