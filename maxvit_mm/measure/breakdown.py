"""Where a training step of a detector goes: its parts, one after another, which together are the step."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

# In the order of a step. Each runs from the end of the one before it.
PARTS = (
    "data preprocessor",
    "backbone",
    "neck",
    "heads and losses",
    "backward: heads",
    "backward: neck",
    "backward: backbone",
    "clipping and optimizer",
)
OPS = ("nms", "roi_align_forward", "roi_align_backward")  # mmcv's, within the heads and their backward pass
Moment = Any  # an event of a GPU, or seconds


class Clock:
    """Moments of a GPU's own clock, read once all is done, or of the CPU's."""

    def __init__(self, device: str) -> None:
        self.on_gpu = device == "cuda"

    def now(self) -> Moment:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start: Moment, end: Moment) -> float:
        """Seconds; waits for the end."""
        if not self.on_gpu:
            return end - start
        end.synchronize()
        return start.elapsed_time(end) / 1e3


def parts_of_a_step(model: Any, wrapper: Any, data: Any, device: str) -> dict[str, float]:
    """Seconds of each of `PARTS` of one step, of the whole 'step', and of each of `OPS`, which lie in parts.

    Args:
        model: a detector of MMDetection's in training, with a backbone and a neck.
        wrapper: MMEngine's wrapper of its optimizer.
        data: a batch as the data loader gives it.
    """
    clock = Clock(device)
    marks: dict[str, Moment] = {}
    calls: list[tuple[str, Moment, Moment]] = []

    def mark(part: str, *_: Any) -> None:
        marks[part] = clock.now()

    def backward(do: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        mark("heads and losses")
        do(*arguments, **named)
        mark("backward: backbone")

    def timed(op: str, do: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        start = clock.now()
        found = do(*arguments, **named)
        calls.append((op, start, clock.now()))
        return found

    ahead = {model.data_preprocessor: PARTS[0], model.backbone: "backbone", model.neck: "neck"}
    behind = {model.neck: "backward: heads", model.backbone: "backward: neck"}
    handles = [part.register_forward_hook(partial(mark, name)) for part, name in ahead.items()]
    handles += [part.register_full_backward_pre_hook(partial(mark, name)) for part, name in behind.items()]
    try:
        with ops_replaced(timed), patch.object(wrapper, "backward", partial(backward, wrapper.backward)):
            start = clock.now()
            model.train_step(data, wrapper)
            mark("clipping and optimizer")
    finally:
        for handle in handles:
            handle.remove()
    found: dict[str, float] = {"step": clock.between(start, marks[PARTS[-1]])}
    for part in PARTS:
        found[part] = clock.between(start, marks[part])
        start = marks[part]
    for op in OPS:
        found[op] = sum(clock.between(*moments) for name, *moments in calls if name == op)
    return found


@contextmanager
def ops_replaced(timed: Callable[..., Any]) -> Iterator[None]:
    """Within it, mmcv's compiled ops, or those that stand in for them, go through `timed(name, op, ...)`."""
    ops = sys.modules["mmcv._ext"]
    before = {name: getattr(ops, name) for name in OPS}
    try:
        for name, op in before.items():
            setattr(ops, name, partial(timed, name, op))
        yield
    finally:
        for name, op in before.items():
            setattr(ops, name, op)


def breakdown_table(steps: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """The mean of the steps of each detector, in ms and as a share of its step."""
    lines = [f"| where a step goes | {' | '.join(steps)} |", "|---" * (len(steps) + 1) + "|"]
    for part in (*PARTS, "step", *OPS):
        cells = []
        for each in steps.values():
            mean = statistics.mean(step[part] for step in each)
            whole = statistics.mean(step["step"] for step in each)
            cells.append(f"{mean * 1e3:.1f} ms ({mean / whole:.0%})")
        lines.append(f"| {f'of these, {part}' if part in OPS else part} | {' | '.join(cells)} |")
    return "\n".join(lines)
