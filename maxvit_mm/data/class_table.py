"""How many of each class, in columns to be read downwards."""

from collections.abc import Mapping, Sequence


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
    wide, long = max(map(len, classes)), max(map(len, tallies))
    cells = [f"  {c:<{wide}}  {n:>{long}}" for c, n in zip(classes, tallies, strict=True)]
    rows = -(-len(cells) // max(1, width // (len(cells[0]) + 2)))
    return [
        f"{what} of each class, {' / '.join(counts)}:",
        *("  ".join(cells[row::rows]) for row in range(rows)),
    ]
