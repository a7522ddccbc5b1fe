"""What a report on a GPU found, and as text."""

from __future__ import annotations

from typing import NamedTuple

from .breakdown import breakdown_table
from .goals import Goal, goals_table
from .timing import Row


class Found(NamedTuple):
    """What a report measured, so far.

    Attributes:
        rows: the times behind the goals.
        detector: seconds of each step, for each backbone.
        goals: the ratios.
        parts: seconds of each part of some steps, for each backbone.
        reading: seconds in which one process reads the images of a step, for each step.
        lost: what was not measured, and why.
    """

    rows: list[Row]
    detector: dict[str, list[float]]
    goals: list[Goal]
    parts: dict[str, list[dict[str, float]]]
    reading: list[float]
    lost: list[str]

    def as_text(self) -> str:
        """All of it, as Markdown."""
        text = goals_table(self.goals)
        if self.parts:
            text += f"\n\n{breakdown_table(self.parts)}"
        if self.reading:
            each = sum(self.reading) / len(self.reading)
            text += f"\n\nOne process reads and augments the images of a step in {each * 1e3:.0f} ms."
        if self.lost:
            text += "\n\nNot measured:\n\n" + "\n".join(f"- {each}" for each in self.lost)
        return text
