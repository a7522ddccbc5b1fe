"""Whether maps show what a model needs: pixels are taken away, or put back, in a map's order.

Deletion and insertion are those of RISE (Petsiuk et al., arXiv 1806.07421); the score of an object that may
move, change or vanish is that of D-RISE (arXiv 2006.03204) without masks: overlap times the class's score.
That of a region is its class's mean probability over its pixels, that of a class its probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from .evidence import Found, result_of
from .explaining import KINDS, Map, explain
from .looking import Looked, Looker

STEPS = 10
BASELINES = ("random", "centre of the image", "centre of the box")


class Faithfulness(NamedTuple):
    """Areas under the curves of the score, in parts of the score on the whole image.

    A faithful map has a small `deletion`: the score falls as soon as what matters is gone. It has a large
    `insertion`: the score is there as soon as what matters is.
    """

    deletion: float
    insertion: float


def faithfulness_of(
    importance: np.ndarray, image: np.ndarray, score_of: Callable[[np.ndarray], float], steps: int = STEPS
) -> Faithfulness:
    """Take pixels away, the most important ones first, and put them back in the same order.

    What is away has the image's mean colour. Steps are small at first: after step `i` of `n`, the share
    `(i / n)^2` of the pixels has changed.

    Args:
        importance: [height, width] of the image.
        score_of: of an image, 0 or more; that of the whole image is not 0.
    """
    order = np.argsort(-importance.ravel(), kind="stable")
    blank = np.broadcast_to(image.mean((0, 1)).round().astype(np.uint8), image.shape)
    whole, nothing = score_of(image), score_of(blank.copy())
    shares = [(i / steps) ** 2 for i in range(steps + 1)]
    curves = []
    for begin, end, ends in ((image, blank, (whole, nothing)), (blank, image, (nothing, whole))):
        scores = [ends[0]]
        for share in shares[1:-1]:
            changed = begin.copy().reshape(-1, 3)
            first = order[: round(share * len(order))]
            changed[first] = end.reshape(-1, 3)[first]
            scores.append(score_of(changed.reshape(image.shape)))
        scores.append(ends[1])
        curves.append(float(torch.trapezoid(torch.tensor(scores), torch.tensor(shares))) / whole)
    return Faithfulness(*curves)


def score_again(looker: Looker, looked: Looked, found: Found) -> Callable[[np.ndarray], float]:
    """How much of what was found a changed image still holds; see `Evidence.again`."""

    def score_of(image: np.ndarray) -> float:
        with torch.no_grad():
            return looked.evidence.again(result_of(looker.model, looker.prepare(image)), found)

    return score_of


def over_pixels(each: Map, height: int, width: int) -> np.ndarray:
    """A map between the middles of its cells, for each pixel of an image; -1 where the network sees none."""
    left, top = each.corner
    across = (np.arange(width, dtype=np.float32) + 0.5 - left) / each.cell[0] - 0.5
    down = (np.arange(height, dtype=np.float32) + 0.5 - top) / each.cell[1] - 0.5
    x, y = np.meshgrid(across.astype(np.float32), down.astype(np.float32))
    values = each.values.astype(np.float32)
    rows, columns = values.shape
    seen = (x >= -0.5) & (x <= columns - 0.5) & (y >= -0.5) & (y <= rows - 0.5)
    pixels = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(seen, pixels, -1)


def compare(
    looker: Looker, looked: Looked, found: Found, stage: int, kinds: Sequence[str] = KINDS, seed: int = 0
) -> dict[str, Faithfulness]:
    """How faithful each kind of map is for what was found, and three maps that know nothing of the network.

    'random' has random cells as large as the stage's; the others are the nearness to a centre.
    """
    height, width = looked.image.shape[:2]
    maps = {each: explain(looker, looked, found, [each], stage)[0] for each in kinds}
    importance = {kind: over_pixels(each, height, width) for kind, each in maps.items()}
    block = explain(looker, looked, found, ["block"], stage)[0]
    noise = np.random.default_rng(seed).random(block.values.shape)
    importance["random"] = over_pixels(block._replace(values=noise), height, width)
    y, x = np.mgrid[:height, :width] + 0.5
    for name, (left, up) in zip(BASELINES[1:], ((width / 2, height / 2), found.centre), strict=True):
        importance[name] = -np.hypot(x - left, y - up)
    score_of = score_again(looker, looked, found)
    return {name: faithfulness_of(each, looked.image, score_of) for name, each in importance.items()}


def table(results: Sequence[dict[str, Faithfulness]]) -> str:
    """Means over objects, with their standard errors, as a Markdown table."""
    lines = ["| map | deletion (low is good) | insertion (high is good) |", "|---|---|---|"]
    for name in results[0]:
        columns = np.array([each[name] for each in results])
        error = columns.std(0, ddof=1) / len(columns) ** 0.5 if len(columns) > 1 else np.full(2, np.nan)
        cells = [f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(columns.mean(0), error, strict=True)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
