"""The environment's say in which twins run: for a look at a run without a change to its config."""

from __future__ import annotations

import os

from ..network.twins import implementations

IMPLEMENTATION = "MAXVIT_MM_IMPLEMENTATION"


def chosen_implementation(argument: str) -> str:
    """The environment's, where it names one, else the argument."""
    name = os.environ.get(IMPLEMENTATION)
    if name and name not in implementations():
        raise ValueError(
            f"the environment's {IMPLEMENTATION} is one of {', '.join(implementations())}; got {name!r}"
        )
    return name or argument
