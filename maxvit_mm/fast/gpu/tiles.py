"""Which groups a tile holds: known without Triton, as what the operator returns depends on it."""

from __future__ import annotations

FEW_LANES = 64


def is_small(p: int, q: int) -> bool:
    """Whether a tile of 64 lanes holds a group of `p x q`, its columns padded to a power of two."""
    return any(q <= columns and p * columns <= FEW_LANES for columns in (1, 2, 4, 8, 16, 32, 64))
