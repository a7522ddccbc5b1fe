"""Scenes of overlapping shapes over textures: what is where, and how it looks.

Geometry comes before paint: `lay_out` decides what is visible of what, so masks are exact and
follow from the seed alone; `paint` then finds colours that tell neighbours apart. As in nature, shapes
stand roughly upright and a colour hints at the class; what decides is the outline.
"""

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SIDE = (144, 192)  # pixels, of an image
OBJECTS = (2, 4)  # tried for in an image; one that finds no place is left out
SIZE = (24.0, 112.0)  # pixels, side of the square of equal area; COCO's bins part at 32 and 96
SIDE_OF_ONE, SIZE_OF_ONE = (88, 120), (24.0, 48.0)  # pixels, of an image of one shape, and of the shape
REACH = 0.9  # of its size, that a shape extends from its centre at most
VISIBLE_SHARE, VISIBLE_PIXELS = 0.85, 140  # an object of which less shows is not placed
FINE = 4  # samples across a pixel, for smooth edges
CONTRAST = 30.0  # CIE76 difference of a fill to what lies around it; 2.3 is just noticeable

Floats = NDArray[np.float32]
Range = tuple[float, float]


def _polygon(corners: int, *radii: float, turn: float = 0.0) -> NDArray[np.float64]:
    """A contour around the origin, first corner on top, its corners cycling through `radii`: [n, 2]."""
    angle = np.linspace(0, 2 * np.pi, corners * len(radii), endpoint=False) - np.pi / 2 + turn
    return np.stack([np.cos(angle), np.sin(angle)], 1) * np.tile(radii, corners)[:, None]


OUTLINES = {
    "disk": _polygon(64, 1),
    "square": _polygon(4, 1, turn=np.pi / 4),
    "triangle": _polygon(3, 1),
    "star": _polygon(5, 1, 0.45),
}
CLASSES = tuple(OUTLINES)
TURN = 0.3  # radians, of a shape to either side
HUE_SPREAD = 50.0  # degrees of hue to either side of a class's own; neighbouring classes overlap


class Shape(NamedTuple):
    name: str  # one of CLASSES
    centre: NDArray[np.float64]  # x, y in pixels
    size: float  # pixels; all of it, hidden parts too, has an area of size**2
    coverage: Floats  # [height, width], the share of each pixel that it would cover


class Layout(NamedTuple):
    shapes: list[Shape]  # from back to front
    owner: NDArray[np.uint8]  # [height, width], k where shapes[k - 1] is visible, 0 where none is


def lay_out(rng: Generator, empty: bool = False) -> Layout:
    """Place the shapes of one image."""
    height, width = rng.integers(*SIDE, 2, endpoint=True)
    shapes: list[Shape] = []
    owner = np.zeros((height, width), np.uint8)
    for _ in range(0 if empty else rng.integers(*OBJECTS, endpoint=True)):
        name = CLASSES[rng.integers(len(CLASSES))]
        # large shapes seldom find room in front of others, so give them the back
        size = math.exp(rng.uniform(*np.log(SIZE))) if shapes else rng.uniform(*SIZE)
        for _ in range(8):
            centre = rng.uniform(0.5 * size, (width - 0.5 * size, height - 0.5 * size))
            if shapes and rng.random() < 0.3:  # left to chance, few shapes would overlap
                centre = shapes[-1].centre + rng.normal(0, 8 + 0.4 * size, 2)
            shape = Shape(name, centre, size, _rasterise(rng, name, centre, size, owner.shape))
            after = np.where(shape.coverage < 0.5, owner, np.uint8(len(shapes) + 1))
            visible = np.bincount(after.ravel(), minlength=len(shapes) + 2)[1:]
            needed = [max(VISIBLE_PIXELS, VISIBLE_SHARE * s.size**2) for s in (*shapes, shape)]
            if (visible >= needed).all():
                shapes, owner = [*shapes, shape], after
                break
    return Layout(shapes, owner)


def lay_out_one(rng: Generator, name: str) -> Layout:
    """One shape of a class, anywhere in its image."""
    height, width = rng.integers(*SIDE_OF_ONE, 2, endpoint=True)
    size = rng.uniform(*SIZE_OF_ONE)
    centre = rng.uniform(REACH * size, (width - REACH * size, height - REACH * size))
    shape = Shape(name, centre, size, _rasterise(rng, name, centre, size, (height, width)))
    return Layout([shape], (shape.coverage >= 0.5).astype(np.uint8))


def _rasterise(
    rng: Generator, name: str, centre: NDArray[np.float64], size: float, shape: tuple[int, ...]
) -> Floats:
    """Stretch, turn and scale an outline, then draw it: [height, width], shares of a pixel."""
    turn, stretch = rng.uniform(-TURN, TURN), math.exp(rng.uniform(-0.15, 0.15))
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    outline = OUTLINES[name]
    scale = size / math.sqrt(cv2.contourArea(outline.astype(np.float32)))
    outline = outline * (stretch, 1 / stretch) @ rotation * scale + centre
    fine = np.zeros([side * FINE for side in shape], np.uint8)
    cv2.fillPoly(fine, [np.rint(outline * FINE).astype(np.int32)], 255)
    coarse = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return coarse / np.float32(255)


def paint(layout: Layout, rng: Generator) -> NDArray[np.uint8]:
    """Show a layout: [height, width, 3], blue first as OpenCV has it."""
    canvas = _background(rng, *layout.owner.shape)
    for shape in layout.shapes:
        shadow = cv2.GaussianBlur(shape.coverage, (0, 0), 1.5 + 0.03 * shape.size)
        fill = _contrasting(rng, canvas, shape) * (1 + 0.12 * _texture(rng, shape))
        canvas *= 1 - 0.3 * shadow[..., None]
        canvas += shape.coverage[..., None] * (fill.clip(0, 1) - canvas)
    canvas += 0.012 * rng.standard_normal(canvas.shape, np.float32)  # a sensor's grain
    return np.rint(canvas.clip(0, 1) * 255).astype(np.uint8)


def _background(rng: Generator, height: int, width: int) -> Floats:
    """Clouds or marble between two muted colours, strewn with hairlines and specks."""
    ramp = np.linspace(-1, 1, width, dtype=np.float32)[:, None]
    blend = _noise(rng, height, width) + rng.uniform(-1, 1) * ramp
    if rng.random() < 0.5:
        blend = np.sin(rng.uniform(3, 9) * blend)
    one, other = _colours(rng, 2, saturation=(0.05, 0.45), value=(0.3, 0.95))
    canvas = one + (other - one) * (0.5 + 0.22 * blend.clip(-1, 1))
    canvas += 0.06 * _noise(rng, height, width)
    clutter = np.rint(canvas.clip(0, 1) * 255).astype(np.uint8)
    for ink in 255 * _colours(rng, 30, saturation=(0.1, 0.7), value=(0.2, 1)):
        start = rng.integers((width, height))
        reach = rng.integers(-90, 91, 2) if rng.random() < 0.3 else rng.integers(-2, 3, 2)
        cv2.line(clutter, start.tolist(), (start + reach).tolist(), ink.tolist(), 1, cv2.LINE_AA)
    return 0.4 * canvas + 0.6 * (clutter / np.float32(255))


def _contrasting(rng: Generator, canvas: Floats, shape: Shape) -> Floats:
    """Of random colours of its class the first to which least of a shape's surroundings come close: [3]."""
    rim = (cv2.dilate(shape.coverage, np.ones((9, 9))) > 0) & (shape.coverage == 0)
    around = cv2.cvtColor(canvas[rim].clip(0, 1)[:, None], cv2.COLOR_BGR2LAB)
    own = 360 * CLASSES.index(shape.name) / len(CLASSES)
    hue = own - HUE_SPREAD, own + HUE_SPREAD
    colours = _colours(rng, 24, saturation=(0.3, 0.8), value=(0.4, 1), hue=hue)
    lab = cv2.cvtColor(colours[None], cv2.COLOR_BGR2LAB)[0]
    close = np.linalg.norm(around - lab, axis=2) < CONTRAST
    return colours[close.mean(axis=0).argmin()]


def _colours(rng: Generator, count: int, saturation: Range, value: Range, hue: Range = (0, 360)) -> Floats:
    """Random colours: [count, 3], blue first, 0..1; hues in degrees."""
    low, high = np.transpose([hue, saturation, value])
    hsv = rng.uniform(low, high, (count, 3))
    hsv[:, 0] %= 360
    return cv2.cvtColor(hsv[None].astype(np.float32), cv2.COLOR_HSV2BGR)[0]


def _texture(rng: Generator, shape: Shape) -> Floats:
    """A gradient, stripes or noise for a fill: [height, width, 1], within -1..1."""
    height, width = shape.coverage.shape
    angle, period = rng.uniform(0, 2 * np.pi), rng.uniform(4, 6 + shape.size / 6)
    y, x = np.indices((height, width), np.float32, sparse=True)
    direction = [math.cos(angle), math.sin(angle)]
    along = direction[0] * x + direction[1] * y - float(shape.centre @ direction)  # pixels
    stripes = np.tanh(3 * np.sin(2 * np.pi / period * along))
    patterns = (1.5 * along / shape.size, stripes, _noise(rng, height, width)[..., 0])
    return patterns[rng.integers(3)].clip(-1, 1)[..., None]


def _noise(rng: Generator, height: int, width: int) -> Floats:
    """Octaves of smooth noise, from clouds to grit: [height, width, 1], within -1..1."""
    total: NDArray[Any] = np.zeros((1, 1), np.float32)
    roughness = rng.uniform(0.4, 0.9)
    for octave in range(1, 7):
        total = cv2.resize(total, (2**octave, 2**octave), interpolation=cv2.INTER_CUBIC)
        total = total + roughness**octave * rng.standard_normal(total.shape, np.float32)
    total = cv2.resize(total, (width, height), interpolation=cv2.INTER_CUBIC)
    return (total / np.abs(total).max())[..., None]
