"""Who imports whom in the house, read off its sources: `python tests/house/rooms.py` draws it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "maxvit_mm"
Module = tuple[
    str, ...
]  # its path below the package: ('weights', 'file'), ('weights',), or () for the package

# The design: a room may import those of the layers before its own.
LAYERS = (
    ("network",),
    ("fast", "weights", "data"),
    ("openmmlab",),
    ("inference", "measure"),
    ("commands",),
    ("tools",),
)
ROOMS = [room for layer in LAYERS for room in layer]
LEAVES = ("version", "moved")  # anybody's: they import no room
DOOR = "maxvit_mm"  # `import maxvit_mm` registers what configs name, so it stands behind openmmlab


class Imports(NamedTuple):
    """What a source imports, at its top and inside functions."""

    ours: set[Module]
    foreign: set[str]  # top-level names of packages, our own included where it is named in full


@cache
def sources() -> dict[Module, Path]:
    """The modules of the package; a room's `__init__` goes by the room's name."""
    paths = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in PACKAGE.rglob("*.py")}
    return {
        parts[:-1] if parts[-1] == "__init__" else parts: path
        for parts, path in paths.items()
        if ".mim" not in parts
    }


def imports_of(source: str, package: Module) -> Imports:
    """Read the imports of a source that stands in `package`, such as ('weights',)."""
    modules = sources()
    ours: set[Module] = set()
    foreign: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named = [(tuple(alias.name.split(".")), None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (DOOR, *package)[: len(package) + 2 - node.level] if node.level else ()
            target = (*base, *(node.module or "").split(".")) if node.module else base
            named = [(target, alias.name) for alias in node.names]
        else:
            continue
        for (top, *parts), name in named:
            if top != DOOR or not getattr(node, "level", 0):
                foreign.add(top)
            if top == DOOR:
                inside = (
                    *parts,
                    name,
                )  # `from .. import weights` names a module, `from ..weights import X` none
                ours.add(inside if inside in modules else tuple(parts))
    return Imports(ours, foreign)


def room_of(module: Module) -> str:
    return module[0] if module else DOOR


def may_import(room: str) -> set[str]:
    """The rooms that a room may import, after the design."""
    if room in LEAVES:
        return {room}
    last = next(i for i, layer in enumerate(LAYERS) if ("openmmlab" if room == DOOR else room) in layer)
    before = {each for layer in LAYERS[:last] for each in layer}
    return before | {room, *LEAVES} | ({"openmmlab"} if room == DOOR else set())


def trespasses(room: str, source: str, package: Module) -> set[str]:
    """The rooms that a source in a room imports and may not."""
    return {room_of(module) for module in imports_of(source, package).ours} - may_import(room)


def house() -> dict[str, set[str]]:
    """Each room, tools/ among them, and the other rooms that it really imports."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module, path in sources().items():
        if room_of(module) in found:
            package = path.relative_to(PACKAGE).parent.parts
            found[module[0]] |= {room_of(each) for each in imports_of(path.read_text(), package).ours}
    for path in (ROOT / "tools").glob("*.py"):
        found["tools"] |= {room_of(each) for each in imports_of(path.read_text(), ()).ours}
    return {room: (others & found.keys()) - {room} for room, others in found.items()}


def columns(imports: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The rooms from left to right, each as far to the right as those that import it let it be.

    Raises:
        CycleError: where rooms import each other in a circle.
    """
    TopologicalSorter(imports).prepare()
    importers = {room: [other for other in imports if room in imports[other]] for room in imports}

    @cache
    def before(room: str) -> int:
        return 1 + max(map(before, imports[room]), default=-1)

    @cache
    def behind(room: str) -> int:
        return 1 + max(map(behind, importers[room]), default=-1)

    last = max(map(before, imports))
    place = {room: last - behind(room) if importers[room] else before(room) for room in imports}
    return [[room for room in imports if place[room] == column] for column in range(last + 1)]


def drawing(imports: Mapping[str, Iterable[str]]) -> str:
    """`B imports A` as `A -> B`, in columns; B may import what stands before A as well."""
    found = columns(imports)
    above = max((len(column) - 1) // 2 for column in found)  # rows over the one that runs through
    lines = [""] * (above + 1 + max(len(column) // 2 for column in found))
    forked = False  # whether several arrows have just become one
    for i, column in enumerate(found):
        top = above - (len(column) - 1) // 2
        if i:
            lines[above] += ("" if forked else " ") + ("--" if len(column) > 1 else "-")
        lines = [line.ljust(max(map(len, lines))) for line in lines]
        width = max(map(len, column))
        joined = len(column) > 1 and i + 1 < len(found)
        for row, room in enumerate(column, start=top):
            lines[row] += ("+-> " if len(column) > 1 else "> ") * bool(i) + room
            if joined:
                lines[row] += " " + "-" * (width - len(room) + 1) + "+"
        forked = joined
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    print(drawing(house()))
