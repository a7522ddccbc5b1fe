"""The pictures of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def one_plot(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def draw_bars(works: Sequence[str], ratios: Mapping[str, Sequence[float]], path: Path) -> None:
    """Times relative to the first candidate's, a group of bars for each work; 0 where one cannot."""
    figure, axes = one_plot(10, 2.2 + 0.9 * len(works))
    height = 0.8 / len(ratios)
    for i, (name, all_of_them) in enumerate(ratios.items()):
        axes.barh([place + i * height for place in range(len(works))], all_of_them, height, label=name)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(works))], works)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"time, in times that of {next(iter(ratios))}; no bar: cannot")
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=110)


def draw_growth(sides: Sequence[int], seconds: Mapping[str, Sequence[float]], path: Path) -> None:
    """Seconds against the pixels of square images."""
    figure, axes = one_plot(7, 4.2)
    for label, all_of_them in seconds.items():
        axes.plot([side**2 / 1e6 for side in sides], all_of_them, marker="o", label=label)
    axes.set_xlabel("million pixels")
    axes.set_ylabel("seconds, forward, fp32")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.legend()
    figure.savefig(path, dpi=110)
