"""Faster twins of the network's layers, and which of them run.

`network.twins` says what a twin is. Importing this room fills its table: `cpu/` and `gpu/` have a row for
each method of a layer that has a twin there. `report` shows what runs on some images, and why not the others.
"""

from ..network.twins import SEAMS, TWINS
from .cpu import ON_CPUS
from .environment import chosen_implementation
from .gpu import ON_GPUS
from .report import report

for seam in SEAMS:
    TWINS[seam] = [twin for rows in (ON_GPUS, ON_CPUS) for twin in rows.get(seam, ())]

__all__ = ["chosen_implementation", "report"]
