"""The table by which the speed on a GPU is judged: each row a ratio, measured in one run, beside its goal.

`report.py` measures them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .launches import launches
from .peers import Work
from .timing import Row, prepare

OURS, DEPLOYED, TIMM, SWIN = "maxvit_mm", "maxvit_mm, deployed", "timm, channels-last", "Swin-T (mmdet)"


class Sizes(NamedTuple):
    """Images of the rows, as batch, height and width; a rehearsal takes small ones."""

    small: tuple[int, int, int] = (64, 224, 224)
    large: tuple[int, int, int] = (8, 896, 896)
    divided: tuple[int, int] = (896, 1344)  # by the partition and the strides
    odd: tuple[int, int] = (800, 1333)  # as MMDetection resizes
    detector_batch: int = 8
    detector_steps: int = 20
    scale: tuple[int, int] | None = None  # of the detector's images; None for the config's


# A rehearsal on a CPU.
TINY = Sizes((2, 64, 64), (1, 96, 96), (64, 96), (57, 95), detector_batch=1, detector_steps=2, scale=(96, 64))


class Goal(NamedTuple):
    """A measured value, and what it is to be.

    Attributes:
        work: what was done.
        compared: what the value is.
        value: None where it could not be measured.
        bound: the goal.
        at_least: whether the value is to be at least `bound`; else at most.
    """

    work: str
    compared: str
    value: float | None
    bound: float
    at_least: bool

    @property
    def reached(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


# timm channels-last / ours: by kind, whether the small size, whether the partition grows with the image.
GOALS: Mapping[tuple[str, bool, bool], float] = {
    ("forward", True, False): 2.4,
    ("forward", False, False): 2.2,
    ("forward", False, True): 1.8,
    ("training step", True, False): 2.2,
    ("training step", False, False): 1.9,
    ("training step", False, True): 1.8,
}


def against_timm(row: Row, ours: str, bound: float) -> Iterator[Goal]:
    yield from faster(row, ours, row.seconds[TIMM], "timm channels-last / ours", bound)
    peaks = [row.peak_bytes[name] for name in (ours, TIMM)]
    if row.work.kind != "forward" and not row.work.scaled:
        value = peaks[0] / peaks[1] if peaks[0] and peaks[1] else None
        yield Goal(str(row.work), "peak memory, ours / timm channels-last", value, 0.55, False)


def faster(row: Row, ours: str, theirs: float | None, compared: str, bound: float) -> Iterator[Goal]:
    took = row.seconds[ours]
    yield Goal(str(row.work), compared, theirs / took if theirs and took else None, bound, True)


def per_pixel(even: Row, uneven: Row) -> Goal:
    took = [row.seconds[OURS] for row in (even, uneven)]
    pixels = [row.work.height * row.work.width for row in (even, uneven)]
    value = took[1] / pixels[1] * pixels[0] / took[0] if took[0] and took[1] else None
    compared = f"per pixel, of {even.work.height} x {even.work.width}"
    return Goal(str(uneven.work), compared, value, 1.15, False)


def new_size(first: Row, second: Row) -> Goal:
    """cuDNN and compilers prepare for each size, and a detector meets another at nearly every step."""
    took = [row.seconds[OURS] for row in (first, second)]
    value = took[0] - took[1] if took[0] and took[1] else None
    return Goal(str(first.work), "seconds more than the second", value, 0.2, False)


def few_launches(work: Work, ours: str, device: str, bound: int) -> Iterator[Goal]:
    count = launches(prepare(ours, work, device), device)
    yield Goal(str(work), "launches", None if count is None else float(count), float(bound), False)


def detector_goal(times: Mapping[str, list[float]], batch: int) -> Goal:
    """By the mean: a step that waits for its size's plan belongs to the training."""
    ours, theirs = (statistics.mean(times[name]) for name in (OURS, SWIN))
    work = f"Mask R-CNN, {len(times[OURS])} first steps of {batch} images of mixed sizes"
    return Goal(work, "ours / Swin-T", ours / theirs, 1.25, False)


def seen(rows: list[Row]) -> set[tuple[int, int, int]]:
    return {(row.work.batch, row.work.height, row.work.width) for row in rows}


def goals_table(goals: list[Goal]) -> str:
    """The goals, a row each."""
    lines = ["| work | compared | measured | goal | |", "|---|---|---|---|---|"]
    for goal in goals:
        value = "not measured" if goal.value is None else f"{goal.value:.4g}"
        sign = "at least" if goal.at_least else "at most"
        verdict = {True: "reached", False: "missed", None: ""}[goal.reached]
        lines.append(f"| {goal.work} | {goal.compared} | {value} | {sign} {goal.bound:g} | {verdict} |")
    return "\n".join(lines)
