"""Where a detector looked: maps over an image, for a place of it or for an object found in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from ..network.variants import STRIDES
from .attention import SeenBlock, at_cells
from .gradients import area_of
from .looking import Found, Looked, Looker
from .rollout import rollout

GRADIENTS = ("gradient", "local")  # of an object's score
KINDS = ("block", "grid", "rollout", "stages", "gradient", "local", "field")
Place = tuple[float, float] | Found  # (x, y) in the image's pixels, or an object, which means its box


class Map(NamedTuple):
    """A map over an image.

    Attributes:
        kind: one of `KINDS`.
        title: what it shows, in words.
        values: [rows, columns], from 0 on.
        cell: width and height of a value, in the image's pixels; the first is at the image's corner.
    """

    kind: str
    title: str
    values: np.ndarray
    cell: tuple[float, float]


def explain(
    looker: Looker,
    looked: Looked,
    at: Place,
    kinds: Sequence[str] = KINDS,
    stage: int = 2,
    block: int = -1,
    head: int | None = None,
) -> list[Map]:
    """Maps of where a detector looked from a place, or on average from the cells of an object's box.

    Args:
        kinds: of `KINDS`. 'block' and 'grid' are one block's attention, in its windows and in its grid;
            'rollout' goes through all blocks of a stage, 'stages' through all up to it; 'gradient' and
            'local' are an object's Grad-CAM and HiResCAM on the stage's map; 'field' is the stage's
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
                raise ValueError("a gradient map explains a score: choose a found object, not a place")
            values = looker.gradient(looked, at, stage, whole_map=kind == "gradient")[None]
            name = "Grad-CAM" if kind == "gradient" else "HiResCAM"
            title = f"{name}: what raised the score\nin the map of stage {stage + 1}"
        else:
            values, stride = looker.field(looked, weights, stage)[None], 1
            title = f"Effective receptive field of stage {stage + 1}\n"
            title += f"half of it lies in {area_of(0.5, values):.1%} of the image"
        cell = (stride / looked.scale[0], stride / looked.scale[1])
        made.append(Map(kind, title, values[0].float().cpu().numpy(), cell))
    return made


def weights_of(looked: Looked, at: Place, stage: int) -> Tensor:
    """Of the cells of a stage's map that look: the one at a place, or those in an object's box, all alike.

    Raises:
        ValueError: for a place outside the image.
    """
    qkv = looked.stages[stage][-1].grid.qkv
    _, height, width, _ = qkv.shape
    across, down = (scale / STRIDES[stage] for scale in looked.scale)
    if not isinstance(at, Found):
        x, y = at
        if not (0 <= x < looked.image.shape[1] and 0 <= y < looked.image.shape[0]):
            size = f"{looked.image.shape[1]}x{looked.image.shape[0]}"
            raise ValueError(f"({x:g}, {y:g}) is outside the image, of {size} pixels (width x height)")
        return at_cells([cell_at(x * across, y * down, width, height)], height, width).to(qkv)
    left, top, right, bottom = at.box
    rows = [row for row in range(height) if top * down <= row + 0.5 <= bottom * down]
    columns = [column for column in range(width) if left * across <= column + 0.5 <= right * across]
    inside = [(row, column) for row in rows for column in columns]
    x, y = at.centre
    return at_cells(inside or [cell_at(x * across, y * down, width, height)], height, width).to(qkv)


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
