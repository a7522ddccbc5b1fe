"""Losses and metrics over the steps, read from the log of a work directory and drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# What is drawn of an evaluation: the ends of names, how an axis calls it, and the most that it can be.
MEASURES = {
    "mAP": ("AP", 1),
    "PQ": ("PQ", 100),
    "mIoU": ("mIoU", 100),
    "accuracy/top1": ("accuracy", 100),
    "accuracy/top5": ("accuracy", 100),
}
Series = dict[str, tuple[list[int], list[float]]]


def read_log(work_dir: Path) -> tuple[Series, Series]:
    """Losses and metrics of the newest run in a work directory, with the runs that it resumed.

    Returns:
        two dicts of name -> (steps, values); a metric stands at the last step before it was measured.
    """
    losses: dict[str, dict[int, float]] = {}
    metrics: dict[str, dict[int, float]] = {}
    earliest: float = math.inf
    for log in sorted(work_dir.glob("*/vis_data/scalars.json")):
        records = list(read_records(log))
        if not any("lr" in record for record in records):
            continue  # a test's
        first = next((record["step"] for record in records if "lr" in record), None)
        if first is not None and first <= earliest:
            losses, metrics = {}, {}  # from the start again: what is there is of another run
            earliest = first
        step = 0
        for record in records:
            # An evaluation counts in epochs, training in steps: only training reports a learning rate.
            if "lr" in record:
                step = record["step"]
                kept, names = losses, [name for name in record if name.startswith("loss")]
            else:
                kept, names = metrics, [name for name in record if name.endswith(tuple(MEASURES))]
            for name in names:
                kept.setdefault(name, {})[step] = record[name]
    return as_series(losses), as_series(metrics)


def read_records(log: Path) -> Iterator[dict]:
    """The records of a log; a last line that a killed run did not finish is left out."""
    for line in log.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def as_series(values: dict[str, dict[int, float]]) -> Series:
    return {name: (sorted(steps), [steps[step] for step in sorted(steps)]) for name, steps in values.items()}


def draw_curves(work_dir: Path) -> Path:
    """Draw `curves.png`: losses on the left, on the right what was measured, 1 at best. Returns its path."""
    losses, metrics = read_log(work_dir)
    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    titles: dict[str, None] = {}
    for name, (steps, values) in losses.items():
        width, mark = 2.5 if name == "loss" else 1, "." if len(steps) < 3 else ""
        left.plot(steps, values, label=name, linewidth=width, marker=mark)
    for name, (steps, values) in metrics.items():
        said, most = next(measure for end, measure in MEASURES.items() if name.endswith(end))
        titles.setdefault(said)
        right.plot(steps, [value / most for value in values], label=name.rpartition("/")[2], marker="o")
    left.set(title="training loss", xlabel="step", ylim=(0, None))
    right.set(
        title=f"{' and '.join(titles) or 'metrics'} on the validation split", xlabel="step", ylim=(0, 1)
    )
    last = max((step for steps, _ in (*losses.values(), *metrics.values()) for step in steps), default=1)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_xlim(0, last * 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
        if not axes.lines:
            axes.text(0.5, 0.5, "nothing measured yet", transform=axes.transAxes, ha="center")
        if axes.lines:
            axes.legend(fontsize="small")
    path = work_dir / "curves.png"
    figure.savefig(path, dpi=120)
    return path
