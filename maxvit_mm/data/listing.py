"""How much there is of each class, in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def in_columns(classes: Sequence[str], tallies: Sequence[str], width: int) -> list[str]:
    """Lines of `width` characters, to be read downwards: each class with its tally."""
    wide, long = max(map(len, classes)), max(map(len, tallies))
    cells = [f"  {c:<{wide}}  {n:>{long}}" for c, n in zip(classes, tallies, strict=True)]
    rows = -(-len(cells) // max(1, width // (len(cells[0]) + 2)))
    return ["  ".join(cells[row::rows]) for row in range(rows)]


def class_table(
    classes: Sequence[str], counts: Mapping[str, Sequence[int]], what: str, width: int
) -> list[str]:
    """Lines with the counts of each class, one count a split.

    Args:
        counts: by split, in the order of `classes`.
        what: is counted, such as 'instances'.
        width: in characters.
    """
    tallies = [" / ".join(f"{count:,}" for count in each) for each in zip(*counts.values(), strict=True)]
    return [f"{what} of each class, {' / '.join(counts)}:", *in_columns(classes, tallies, width)]
