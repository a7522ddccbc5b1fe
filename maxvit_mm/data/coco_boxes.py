"""Boxes held against their images, masks and areas: in which order and which unit were they written?

COCO writes [x, y, width, height] in pixels. Other tools write corners, centres, shares or per cent.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .coco_entries import Boxed, sentence
from .coco_geometry import SLACK, extent, located, mask_fault

Four = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # left, top, right, bottom of each box


class Order(NamedTuple):
    """What the four numbers of a box may be, and how to write them as COCO does."""

    name: str
    sides: Callable[..., Four]
    remedy: str


COCO = Order("[x, y, width, height]", lambda a, b, c, d: (a, b, a + c, b + d), "")
ORDERS = (
    Order(
        "[x1, y1, x2, y2]",
        lambda a, b, c, d: (a, b, c, d),
        "write x2 - x1 for the width and y2 - y1 for the height",
    ),
    Order(
        "[centre x, centre y, width, height]",
        lambda a, b, c, d: (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
        "subtract half of the width from x and half of the height from y",
    ),
    Order("[y1, x1, y2, x2]", lambda a, b, c, d: (b, a, d, c), "write [x1, y1, x2 - x1, y2 - y1]"),
    Order("[x1, x2, y1, y2]", lambda a, b, c, d: (a, c, b, d), "write [x1, y1, x2 - x1, y2 - y1]"),
    Order("[y, x, height, width]", lambda a, b, c, d: (b, a, b + d, a + c), "write [x, y, width, height]"),
)
BY_SIDES = "multiply x and width by the image's width, y and height by its height"
UNITS = {  # the whole width or height in each, and how to write pixels; None is one pixel each
    "pixels": (None, ""),
    "shares of the image (0 to 1)": (1, BY_SIDES),
    "per cent of the image": (100, f"{BY_SIDES}, and divide by 100"),
    "thousandths of the image": (1000, f"{BY_SIDES}, and divide by 1000"),
}
SHARES, PERCENT = list(UNITS)[1:3]


def other_reading(where: str, boxed: Boxed) -> str | None:
    """A sentence where boxes are in another order or unit, as masks or areas tell, or in shares."""
    if not boxed:
        return None
    numbers, sizes = as_columns(boxed)
    told, witness = witnesses(boxed)
    count = f"({len(boxed):,})"
    if agreement(COCO, "pixels", numbers, sizes, told) < 0.5:
        for unit, (_, convert) in UNITS.items():
            for order in (COCO, *ORDERS):
                if agreement(order, unit, numbers, sizes, told) > 0.9:
                    kind = order.name if unit == "pixels" else f"{order.name} in {unit}"
                    remedy = "; then ".join(filter(None, [convert, order.remedy]))
                    return f"{where}: boxes are {kind}, as their {witness} tell: {remedy} {count}"
    if numbers.max() <= 1.001 and numbers.min() >= -0.001:
        like = next((o for o in (COCO, *ORDERS) if inside(o, SHARES, numbers, sizes).all()), COCO)
        said = f"; they look like {like.name}: then {like.remedy}" if like.remedy else ""
        return f"{where}: boxes are {SHARES}, and COCO has pixels: {BY_SIDES} {count}{said}"
    return None


def outside_boxes(where: str, boxed: Boxed) -> Iterator[str]:
    """Boxes that leave their image; with the order that keeps all of them inside, if there is one."""
    if not boxed:
        return
    numbers, sizes = as_columns(boxed)
    strays = np.flatnonzero(~inside(COCO, "pixels", numbers, sizes, least=-np.inf))
    named = (f"{located(*boxed[i])} {boxed[i][0]['bbox']}" for i in strays)
    like = next((o for o in ORDERS if inside(o, "pixels", numbers, sizes, least=1e-6).all()), None)
    hint = f"; they look like {like.name}: {like.remedy}" if like else ""
    what = "boxes [x, y, width, height] that reach outside their image"
    yield from (s + hint for s in sentence(where, what, named))


def box_remarks(where: str, boxed: Boxed) -> Iterator[str]:
    """Boxes that are probably in another unit, though no single one is impossible."""
    if not boxed:
        return
    numbers, sizes = as_columns(boxed)
    _, _, right, bottom = COCO.sides(*numbers)
    most = max(right.max(), bottom.max())
    if len(boxed) >= 8 and sizes.min() > 200 and 90 < most <= 100:
        what = f"boxes look like {PERCENT} (all within 100), and COCO has pixels; if so"
        yield f"{where}: {what}, {UNITS[PERCENT][1]} ({len(boxed):,})"
    if len(boxed) >= 20 and max((right / sizes[0]).max(), (bottom / sizes[1]).max()) < 0.6:
        what = "boxes all lie in the upper left part of their images, as if they were made on smaller ones"
        yield f"{where}: {what} ({len(boxed):,})"


def as_columns(boxed: Boxed) -> tuple[np.ndarray, np.ndarray]:
    """The four numbers of each box, [4, n], and width and height of its image, [2, n]."""
    numbers = np.array([annotation["bbox"] for annotation, _ in boxed], dtype=float).T
    return numbers, np.array([(image["width"], image["height"]) for _, image in boxed], dtype=float).T


def witnesses(boxed: Boxed) -> tuple[np.ndarray, str]:
    """What tells where boxes are, and its name: [5, n], the sides of a mask, else an area."""
    rows = np.full((len(boxed), 5), np.nan)
    for row, (annotation, image) in zip(rows, boxed, strict=True):
        mask = annotation.get("segmentation")
        if mask and not mask_fault(mask, image["width"], image["height"]):
            row[:4] = extent(mask)
        elif annotation["area"] > 0:
            row[4] = annotation["area"]
    return rows.T, "areas" if np.isnan(rows[:, :4]).all() else "masks"


def in_pixels(order: Order, unit: str, numbers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Left, top, right and bottom of boxes that are read in this way: [4, n]."""
    whole = UNITS[unit][0]
    sides = np.stack(order.sides(*numbers))
    return sides if whole is None else sides * np.tile(sizes, (2, 1)) / whole


def inside(order: Order, unit: str, numbers: np.ndarray, sizes: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Which boxes, read in this way, lie in their image with sides of `least` pixels or more: [n]."""
    left, top, right, bottom = in_pixels(order, unit, numbers, sizes)
    within = (left >= -SLACK) & (top >= -SLACK) & (right <= sizes[0] + SLACK) & (bottom <= sizes[1] + SLACK)
    return within & (right - left >= least) & (bottom - top >= least)


def agreement(order: Order, unit: str, numbers: np.ndarray, sizes: np.ndarray, told: np.ndarray) -> float:
    """The share of boxes that, read in this way, lie where their masks do or are as large as their areas."""
    sides = in_pixels(order, unit, numbers, sizes)
    # Shares are often written with two or three digits.
    slack = SLACK if unit == "pixels" else SLACK + np.tile(sizes, (2, 1)) / 200
    by_mask = (abs(sides - told[:4]) <= slack).all(axis=0)
    across, down = sides[2] - sides[0], sides[3] - sides[1]
    by_area = (abs(across * down - told[4]) <= 0.01 * told[4]) & (across > 0) & (down > 0)
    return float(((by_mask | by_area) & inside(order, unit, numbers, sizes, least=-np.inf)).mean())
