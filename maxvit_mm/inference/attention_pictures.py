"""Maps of where a model looked, drawn over the image: the place, a scale of colours and words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .evidence import Found
from .explaining import GRADIENTS, Map, Place

ACROSS = 4  # panels in a row, at most
SIDE = 3.4  # inches of a panel
BRIGHTEST = 99.5  # percentile that the scale ends at: one cell that looks at itself outshines a whole map
FAINTEST, STRONGEST = 0.25, 0.85  # how much the colours hide of the image, from 0 to the end of the scale
OF_THE_LARGEST = "0 to 1, of the largest"
SCALE = "times the map's mean"
FORMATS = (".jpg", ".pdf", ".png", ".svg")


def picture(image: np.ndarray, at: Place, maps: Sequence[Map], title: str) -> Figure:
    """The image with the place marked, and each map over it.

    Args:
        image: [height, width, 3] in BGR.
        at: the place that looks: a point, or what was found, whose box or outline is drawn.
        title: over all.
    """
    panels = len(maps) + 1
    columns = min(ACROSS, panels)
    rows = -(-panels // columns)
    height, width = image.shape[:2]
    tall = min(max(height / width, 0.4), 2.5)
    figure = Figure(figsize=(columns * (SIDE + 0.6), rows * (SIDE * tall + 0.6) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=13)
    every = figure.subplots(rows, columns, squeeze=False).flat
    first, *others = every
    draw_image(first, image)
    first.set_title("The image, and the place\nthat the maps are for", fontsize=10)
    mark(first, at)
    grey = np.repeat(image.mean(2, keepdims=True).astype(np.uint8), 3, 2)
    for axes, each in zip(others[: len(maps)], maps, strict=True):
        draw_image(axes, grey)
        draw_map(figure, axes, each)
        mark(axes, at)
    for axes in others[len(maps) :]:
        axes.set_axis_off()
    return figure


def draw_image(axes: Axes, image: np.ndarray) -> None:
    height, width = image.shape[:2]
    axes.imshow(image[..., ::-1], extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def draw_map(figure: Figure, axes: Axes, each: Map) -> None:
    """Each value as a cell over the pixels it stands for: what a map does not know is not smoothed away."""
    values = each.values / (each.values.max() if each.kind in GRADIENTS else each.values.mean() or 1)
    values = np.nan_to_num(values)
    end = float(np.percentile(values, BRIGHTEST)) or float(values.max()) or 1.0
    strength = FAINTEST + (STRONGEST - FAINTEST) * np.clip(values / end, 0, 1)
    limits = axes.get_xlim(), axes.get_ylim()
    rows, columns = values.shape
    left, top = each.corner
    drawn = axes.imshow(
        values,
        cmap="inferno",
        vmin=0,
        vmax=end,
        alpha=strength,
        extent=(left, left + columns * each.cell[0], top + rows * each.cell[1], top),
        interpolation="nearest",
    )
    axes.set(xlim=limits[0], ylim=limits[1])
    axes.set_title(each.title, fontsize=10)
    bar = figure.colorbar(
        drawn, ax=axes, extend="max" if values.max() > end else "neither", fraction=0.045, pad=0.02
    )
    bar.set_label(OF_THE_LARGEST if each.kind in GRADIENTS else SCALE, fontsize=8)
    bar.ax.tick_params(labelsize=8)


def mark(axes: Axes, at: Place) -> None:
    """A ring around a point, a box, or an outline; white on black, to be seen on anything."""
    for colour, width in (("black", 3.5), ("white", 1.5)):
        if isinstance(at, Found) and at.pixels is not None:
            y, x = (np.arange(side) + 0.5 for side in at.pixels.shape)
            axes.contour(x, y, at.pixels, levels=[0.5], colors=colour, linewidths=width)
        elif isinstance(at, Found):
            left, top, right, bottom = at.box
            box = Rectangle(
                (left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width
            )
            axes.add_patch(box)
        else:
            axes.plot(*at, marker="o", markersize=11, fillstyle="none", color=colour, markeredgewidth=width)


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)
