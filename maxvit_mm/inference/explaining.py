"""Where a model looked: maps over an image, for a place of it or for what was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..network.variants import STRIDES
from .attention import SeenBlock, at_cells
from .evidence import Found
from .gradients import area_of
from .looking import Looked, Looker
from .rollout import rollout

GRADIENTS = ("gradient", "local")  # of the score of what was found
KINDS = ("block", "grid", "rollout", "stages", "gradient", "local", "field")
Place = tuple[float, float] | Found  # (x, y) in the image's pixels, or what was found


class Map(NamedTuple):
    """A map over an image.

    Attributes:
        kind: one of `KINDS`.
        title: what it shows, in words.
        values: [rows, columns], from 0 on.
        cell: width and height of a value, in the image's pixels.
        corner: left and top of the first value, likewise: where what the network sees of the image begins.
    """

    kind: str
    title: str
    values: np.ndarray
    cell: tuple[float, float]
    corner: tuple[float, float] = (0.0, 0.0)


def explain(
    looker: Looker,
    looked: Looked,
    at: Place,
    kinds: Sequence[str] = KINDS,
    stage: int = 2,
    block: int = -1,
    head: int | None = None,
) -> list[Map]:
    """Maps of where a model looked from a place, or on average from the cells of what was found.

    Args:
        kinds: of `KINDS`. 'block' and 'grid' are one block's attention, in its windows and in its grid;
            'rollout' goes through all blocks of a stage, 'stages' through all up to it; 'gradient' and
            'local' are Grad-CAM and HiResCAM of what was found, on the stage's map; 'field' is the stage's
            effective receptive field.
        stage, block: of whose layers, from 0.
        head: of the attention of one block, from 0; without it, their mean.

    Raises:
        ValueError: for a stage, block, head or place that is not there, and for a gradient of a place.
    """
    chosen = numbered(looked.stages, stage, "the network", "stage")
    seen = numbered(chosen, block, f"stage {stage + 1}", "block")
    weights = weights_of(looked, at, stage)
    made = []
    for kind in kinds:
        stride = STRIDES[stage]
        if kind in ("block", "grid"):
            values = (seen.block if kind == "block" else seen.grid).looks_at(weights, head)
            heads = "mean of heads" if head is None else f"head {head + 1}"
            number = block % len(chosen) + 1
            title = f"Attention in its {groups(seen, kind)}\nstage {stage + 1}, block {number}, {heads}"
        elif kind == "rollout":
            values = rollout([chosen], weights)
            title = f"Attention rolled out through stage {stage + 1}\n{reached(values)}"
        elif kind == "stages":
            values, stride = rollout(looked.stages[: stage + 1], weights), STRIDES[0]
            through = f"stages 1 to {stage + 1}" if stage else "stage 1"
            title = f"Attention rolled out through {through}\n{reached(values)}"
        elif kind in GRADIENTS:
            if not isinstance(at, Found):
                raise ValueError("a gradient map explains a score: choose what was found, not a place")
            values = looker.gradient(looked, at, stage, whole_map=kind == "gradient")[None]
            name = "Grad-CAM" if kind == "gradient" else "HiResCAM"
            title = f"{name}: what raised the score\nin the map of stage {stage + 1}"
        else:
            values, stride = looker.field(looked, weights, stage)[None], 1
            title = f"Effective receptive field of stage {stage + 1}\n"
            title += f"half of it lies in {area_of(0.5, values):.1%} of the image"
        cell = (stride / looked.scale[0], stride / looked.scale[1])
        corner = (looked.offset[0] / looked.scale[0], looked.offset[1] / looked.scale[1])
        made.append(Map(kind, title, values[0].float().cpu().numpy(), cell, corner))
    return made


def weights_of(looked: Looked, at: Place, stage: int) -> Tensor:
    """Of the cells of a stage's map that look: the one at a place, or those of what was found.

    Cells in a box are all alike; of pixels, a cell counts as many as it has.

    Raises:
        ValueError: for a place outside the image, or outside what the network sees of it.
    """
    qkv = looked.stages[stage][-1].grid.qkv
    _, height, width, _ = qkv.shape
    across, down = (scale / STRIDES[stage] for scale in looked.scale)
    left_out, top_out = (cut / STRIDES[stage] for cut in looked.offset)
    if not isinstance(at, Found):
        x, y = at
        if not (0 <= x < looked.image.shape[1] and 0 <= y < looked.image.shape[0]):
            size = f"{looked.image.shape[1]}x{looked.image.shape[0]}"
            raise ValueError(f"({x:g}, {y:g}) is outside the image, of {size} pixels (width x height)")
        if not (left_out <= x * across <= width + left_out and top_out <= y * down <= height + top_out):
            raise ValueError(f"({x:g}, {y:g}) is outside the part of the image that the network sees")
        cell = cell_at(x * across - left_out, y * down - top_out, width, height)
        return at_cells([cell], height, width).to(qkv)
    if at.pixels is not None:
        ys, xs = (places + 0.5 for places in np.nonzero(at.pixels))
        rows = np.clip((ys * down - top_out).astype(int), 0, height - 1)
        columns = np.clip((xs * across - left_out).astype(int), 0, width - 1)
        counts = np.bincount(rows * width + columns, minlength=height * width) / len(rows)
        return torch.from_numpy(counts).reshape(1, height, width).to(qkv)
    left, top, right, bottom = at.box
    rows = [row for row in range(height) if top * down <= row + top_out + 0.5 <= bottom * down]
    columns = [
        column for column in range(width) if left * across <= column + left_out + 0.5 <= right * across
    ]
    inside = [(row, column) for row in rows for column in columns]
    x, y = at.centre
    middle = cell_at(x * across - left_out, y * down - top_out, width, height)
    return at_cells(inside or [middle], height, width).to(qkv)


def cell_at(x: float, y: float, width: int, height: int) -> tuple[int, int]:
    """Row and column of the cell at a place, in cells; of the nearest one where that is beside the map."""
    return min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)


def numbered(several: Sequence[Any] | nn.ModuleList, number: int, of: str, what: str) -> Any:
    if not -len(several) <= number < len(several):
        there = f"{what}s 1 to {len(several)}" if len(several) > 1 else f"one {what}"
        raise ValueError(f"{of} has {there}: there is no {what} {number + 1}")
    return several[number]


def groups(seen: SeenBlock, kind: str) -> str:
    down, across = seen.block.size
    return f"{'windows' if kind == 'block' else 'grid'} of {down}x{across}"


def reached(values: Tensor) -> str:
    """What part of a map gets attention at all, in words."""
    part = float((values > 0).float().mean())
    return "it reaches every place" if part == 1 else f"it reaches {part:.1%} of the map"
