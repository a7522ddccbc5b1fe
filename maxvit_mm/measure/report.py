"""What `tools/benchmark.py --report` measures, section by section, within a time that is given.

Before a work is timed, ours is shown to be equal to the plain network in it. The detector's steps rest on
that. What goes wrong in a section is said, and loses no other one.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from .equality import check_equal
from .found import Found
from .goals import (
    DEPLOYED,
    GOALS,
    OURS,
    SWIN,
    TIMM,
    Sizes,
    against_timm,
    detector_goal,
    faster,
    few_launches,
    new_size,
    per_pixel,
)
from .peers import Work
from .timing import Row, first_calls, in_a_line, measure, unseen

FORWARD, TRAINING = "forward", "training step"
PROFILED = 5  # steps of a detector that are taken apart
DETECTORS = 1 / 4  # of the time, at most, for the timed steps of both detectors
Section = tuple[str, Callable[[], None]]


class Report:
    """The sections of a report.

    Attributes:
        over: the titles of sections that were done, or failed, or not begun for want of time.
        running: the title of the one that runs.
        gone: whether the GPU takes no more work from this process, after an error such as an access to memory
            that is not there.

    Args:
        device: 'cuda' or 'cpu'.
        dtype: of what is measured, 'fp32' or 'bf16'.
        rounds: how often each is timed.
        data: a folder of images in COCO's layout, of mixed sizes, for a detector's step; None for the
            embedded shapes.
        minutes: after which no other section is begun.
    """

    def __init__(
        self, device: str, dtype: str, rounds: int, data: Path | None, sizes: Sizes, minutes: float = 6.0
    ) -> None:
        self.device, self.dtype, self.rounds = device, dtype, rounds
        self.data, self.sizes, self.minutes = data, sizes, minutes
        self.found = Found([], {}, [], {}, [], [])
        self.over: list[str] = []
        self.running: str | None = None
        self.gone = False
        self.start = time.time()  # of a clock that all processes share

    def run(self, tell: Callable[[Report], None]) -> Found:
        """Measure all that is not over, and `tell` of it before and after each section."""
        for title, section in self.sections():
            if title in self.over or self.gone:
                continue
            passed = time.time() - self.start
            if passed > 60 * self.minutes:
                self.found.lost.append(f"{title}: not begun, as {self.minutes:g} minutes were over")
            else:
                print(f"{passed:.0f} s: {title}", flush=True)
                self.running = title
                tell(self)
                self.attempt(title, section)
            self.running = None
            self.over.append(title)
            tell(self)
        return self.found

    def attempt(self, title: str, section: Callable[[], None]) -> None:
        try:
            section()
        except (Exception, SystemExit) as error:  # whatever it is, the other sections may be measured
            traceback.print_exc()
            self.found.lost.append(f"{title}: {in_a_line(error)}")
        gc.collect()
        if self.device == "cuda":
            try:
                torch.cuda.synchronize()
                torch.cuda.empty_cache()
            except RuntimeError:
                self.gone = True

    def sections(self) -> Iterator[Section]:
        """What says most comes first; last what others' compilers take minutes for."""
        small, large = self.sizes.small, self.sizes.large
        for kind in (FORWARD, TRAINING):
            yield f"{kind} beside timm", partial(self.beside_timm, self.work(kind, small))
        yield "Mask R-CNN, steps on images of mixed sizes", self.detectors
        for kind in (FORWARD, TRAINING):
            yield f"{kind} of large images beside timm", partial(self.beside_timm, self.work(kind, large))
        yield "Mask R-CNN, where a step goes", self.where_a_step_goes
        for kind in (FORWARD, TRAINING):
            yield f"{kind}, a size that nothing divides", partial(self.odd_size, kind)
            yield f"{kind}, first call at a new size", partial(self.never_seen, kind)
        for kind in (FORWARD, TRAINING):
            scaled = self.work(kind, large, scaled=True)
            yield f"{kind}, P = image / 32, beside timm", partial(self.beside_timm, scaled)
        if self.device == "cuda":
            for size in (small, large):
                for kind, name in ((FORWARD, f"{DEPLOYED}, graph"), (TRAINING, f"{OURS}, graph")):
                    work = self.work(kind, size)
                    yield f"{work}, ours as a CUDA graph", partial(self.as_a_graph, work, name)
        yield "launches of a training step", partial(self.launched, self.work(TRAINING, small), OURS, 1500)
        one = self.work(FORWARD, (1, *self.sizes.odd))
        yield "launches of a forward pass", partial(self.launched, one, DEPLOYED, 350)
        # Swin-T does not take a cast: it is run by autocast.
        swin = self.work(FORWARD, small)._replace(autocast=self.dtype != "fp32")
        yield "forward beside Swin-T", partial(self.against, swin, SWIN, "Swin-T / ours", 1.0)
        compiled = self.work(FORWARD, small)._replace(compiled=True)
        yield (
            "forward beside compiled timm",
            partial(self.against, compiled, TIMM, "timm compiled / ours", 1.5),
        )

    def work(self, kind: str, size: tuple[int, ...], scaled: bool = False) -> Work:
        batch, height, width = size
        return Work(kind, batch, height, width, self.dtype, compiled=False, scaled=scaled)

    def timed(self, work: Work, names: list[str], memory: bool = False) -> Row:
        row = measure(work, names, self.device, self.rounds, memory)
        self.add(row)
        return row

    def add(self, row: Row) -> None:
        self.found.rows.append(row)
        self.found.lost.extend(f"{row.work}: {name}: {why}" for name, why in row.why_not.items())

    def say_equal(self, work: Work) -> None:
        ours, plain = check_equal(work, self.device)
        print(f"{work}: relative error of ours {ours:.1e}, of the plain network {plain:.1e}", flush=True)

    def beside_timm(self, work: Work) -> None:
        self.say_equal(work)
        ours = DEPLOYED if work.kind == FORWARD else OURS
        row = self.timed(work, [ours, TIMM], memory=work.kind != FORWARD)
        is_small = (work.batch, work.height, work.width) == self.sizes.small
        self.found.goals.extend(against_timm(row, ours, GOALS[work.kind, is_small, work.scaled]))

    def against(self, theirs: Work, name: str, compared: str, bound: float) -> None:
        """Another candidate's forward pass, beside ours as it was timed."""
        own = theirs._replace(compiled=False, autocast=False)
        rows = [row for row in self.found.rows if row.work == own and DEPLOYED in row.seconds]
        if not rows:
            raise RuntimeError(f"ours was not measured in {own}")
        other = self.timed(theirs, [name])
        self.found.goals.extend(faster(rows[0], DEPLOYED, other.seconds[name], compared, bound))

    def as_a_graph(self, work: Work, name: str) -> None:
        """Beside timm's eager call, as it was timed. Small batches of ours wait for Python otherwise."""
        rows = [row for row in self.found.rows if row.work == work and TIMM in row.seconds]
        if not rows:
            raise RuntimeError(f"timm was not measured in {work}")
        bound = GOALS[work.kind, (work.batch, work.height, work.width) == self.sizes.small, work.scaled]
        compared = "timm channels-last / ours as a CUDA graph"
        self.found.goals.extend(
            faster(self.timed(work, [name]), name, rows[0].seconds[TIMM], compared, bound)
        )

    def odd_size(self, kind: str) -> None:
        batch = 1 if kind == FORWARD else 2
        works = [self.work(kind, (batch, *size)) for size in (self.sizes.divided, self.sizes.odd)]
        for work in works:
            self.say_equal(work)
        even, uneven = (self.timed(work, [OURS]) for work in works)
        self.found.goals.append(per_pixel(even, uneven))

    def never_seen(self, kind: str) -> None:
        work = self.work(kind, (1 if kind == FORWARD else 2, *self.sizes.divided))
        seen = {(row.work.batch, row.work.height, row.work.width) for row in self.found.rows}
        first, second = first_calls(unseen(work, {*seen, work[1:4]}), [OURS], self.device)
        self.add(first)
        self.add(second)
        self.found.goals.append(new_size(first, second))

    def launched(self, work: Work, ours: str, bound: int) -> None:
        goals = list(few_launches(work, ours, self.device, bound))
        self.found.goals.extend(goals)
        if self.device == "cuda" and any(goal.value is None for goal in goals):
            raise RuntimeError("PyTorch's profiler saw no launch")

    @cached_property
    def steps(self) -> tuple[Any, list[Any]]:
        """The detector's config, and the images of its first steps."""
        # Here, as all else is measured where MMDetection or pycocotools is missing.
        from ..data.shapes import make_shapes
        from .detector_steps import batches_of, config_on

        cfg = config_on(self.data or make_shapes(Path("data/shapes")), self.sizes.scale)
        batches, self.found.reading[:] = batches_of(
            cfg, self.sizes.detector_batch, self.sizes.detector_steps + 1
        )
        return cfg, batches

    def detectors(self) -> None:
        from .detector_steps import step_times

        cfg, batches = self.steps
        most = 60 * self.minutes * DETECTORS / 2
        times = step_times(cfg, batches, [OURS, SWIN], self.device, self.dtype, most)
        self.found.detector.update(times)
        self.found.goals.append(detector_goal(times, self.sizes.detector_batch))

    def where_a_step_goes(self) -> None:
        from .detector_steps import parts_of_steps

        cfg, batches = self.steps
        parts = parts_of_steps(cfg, batches[-PROFILED:], [OURS, SWIN], self.device, self.dtype)
        self.found.parts.update(parts)
