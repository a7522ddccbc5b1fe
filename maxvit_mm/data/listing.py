"""How much there is of each class, in columns."""

from __future__ import annotations

from collections.abc import Sequence


def in_columns(classes: Sequence[str], tallies: Sequence[str], width: int) -> list[str]:
    """Lines of `width` characters, to be read downwards: each class with its tally."""
    wide, long = max(map(len, classes)), max(map(len, tallies))
    cells = [f"  {c:<{wide}}  {n:>{long}}" for c, n in zip(classes, tallies, strict=True)]
    rows = -(-len(cells) // max(1, width // (len(cells[0]) + 2)))
    return ["  ".join(cells[row::rows]) for row in range(rows)]
