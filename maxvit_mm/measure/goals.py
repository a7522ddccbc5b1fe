"""The table by which the speed on a GPU is judged: each row a ratio, measured in one run, beside its goal.

`tools/benchmark.py --report` makes it. Before a work is timed, ours is shown to be equal to the plain network
in it. The detector's steps rest on that.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from .detector_steps import step_times
from .equality import check_equal
from .launches import launches
from .peers import Work
from .timing import Row, first_calls, measure, prepare, unseen

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


class Found(NamedTuple):
    """What a report measured: the times behind the goals, and the goals."""

    rows: list[Row]
    detector: dict[str, list[float]]
    goals: list[Goal]


def report(device: str, dtype: str, rounds: int, folder: Path, sizes: Sizes) -> Found:
    """Measure all rows.

    Args:
        folder: of images in COCO's layout, of mixed sizes, for the step of a detector.

    Raises:
        NotEqualError: where ours differs from the plain network by more than rounding.
    """
    rows: list[Row] = []
    goals: list[Goal] = []

    def timed(work: Work, names: list[str], memory: bool = False) -> Row:
        print(work, flush=True)
        rows.append(measure(work, names, device, rounds, memory))
        return rows[-1]

    def work_of(kind: str, size: tuple[int, ...], scaled: bool = False, compiled: bool = False) -> Work:
        batch, height, width = size
        return Work(kind, batch, height, width, dtype, compiled, scaled)

    for kind in ("forward", "training step"):
        for size, scaled in ((sizes.small, False), (sizes.large, False), (sizes.large, True)):
            work = work_of(kind, size, scaled)
            say_equal(work, device)
            ours = DEPLOYED if kind == "forward" else OURS
            row = timed(work, [ours, TIMM], memory=kind != "forward")
            goals += against_timm(row, ours, GOALS[kind, size == sizes.small, scaled])
            if kind == "forward" and size == sizes.small:
                compiled = timed(work._replace(compiled=True), [TIMM])
                goals += faster(row, ours, compiled.seconds[TIMM], "timm compiled / ours", 1.5)
                # Swin-T does not take a cast: it is run by autocast.
                swin = timed(work._replace(autocast=dtype != "fp32"), [SWIN])
                goals += faster(row, ours, swin.seconds[SWIN], "Swin-T / ours", 1.0)
        batch = 1 if kind == "forward" else 2
        divided, odd = ((batch, *size) for size in (sizes.divided, sizes.odd))
        for size in (divided, odd):
            say_equal(work_of(kind, size), device)
        even, uneven = (timed(work_of(kind, size), [OURS]) for size in (divided, odd))
        goals.append(per_pixel(even, uneven))
        first, second = first_calls(unseen(even.work, seen(rows)), [OURS], device)
        rows += [first, second]
        goals.append(new_size(first, second))
    goals += few_launches(work_of("training step", sizes.small), OURS, device, 1500)
    goals += few_launches(work_of("forward", (1, *sizes.odd)), DEPLOYED, device, 350)
    print("Mask R-CNN, steps on images of mixed sizes", flush=True)
    detector = step_times(
        folder, [OURS, SWIN], device, dtype, sizes.detector_batch, sizes.detector_steps, sizes.scale
    )
    goals.append(detector_goal(detector, sizes))
    return Found(rows, detector, goals)


def say_equal(work: Work, device: str) -> None:
    ours, plain = check_equal(work, device)
    print(f"{work}: relative error of ours {ours:.1e}, of the plain network {plain:.1e}", flush=True)


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


def detector_goal(times: Mapping[str, list[float]], sizes: Sizes) -> Goal:
    """By the mean: a step that waits for its size's plan belongs to the training."""
    ours, theirs = (statistics.mean(times[name]) for name in (OURS, SWIN))
    work = f"Mask R-CNN, {sizes.detector_steps} first steps of {sizes.detector_batch} images of mixed sizes"
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
