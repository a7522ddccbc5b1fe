"""How long, at what rate and at what size to train on a folder, where nobody says it: arithmetic alone.

A config states a recipe for one data set: `auto_scale_lr.base_batch_size` images a step, on
`auto_scale_lr.base_images` images (COCO's, if it does not say). For other data:

Length. Fewer images need more rounds and fewer steps. The rounds rise with the cube root of
base_images / images: 12 epochs of COCO become 28 for 10,000 images, 59 for 1,000 and 116 for 130. That lies
between what is usual for COCO and the hundred to three hundred by which detectors of small sets are trained.
There are `LEAST_STEPS` steps at least: a network has to leave its start behind, however few the images are.

Rate. Of Adam and its kin it rises with the square root of the images a step (Malladi et al., 2022, 'On the
SDEs and Scaling Rules for Adaptive Gradient Algorithms'), of SGD in proportion (Goyal et al., 2017,
'Accurate, Large Minibatch SGD').

Warm-up. The config's own number of steps, and at most a twentieth of all.

Evaluation. Ten times, or less where the validation split is so large that it would take a fifth of the time.

Size. Never larger than the config's. Images are enlarged to twice their size at most, for there is nothing in
them that more would show. Where a config takes images as they are, they are taken so up to `AS_THEY_ARE`.

A plan is a fixed point: planned once more for the same data, a planned config stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..data.survey import Survey
from .image_size import Scale
from .schedules import Length

COCO = 117_266  # images of train2017 that have an object
COCO_BATCH = 16  # images a step of MMDetection's recipes
LEAST_STEPS = 1000
MOST_EPOCHS = 300
WARM_UP = 1 / 20  # of all steps, at most
EVALUATIONS = 10
COST = 0.4  # of an evaluated image, in training images: a forward pass, masks, and their comparison
SHARE = 1 / 5  # of a training's time, at most, for evaluating
ENLARGED = 2
AS_THEY_ARE = 320  # pixels of the longer side; beyond, a step of the small detector takes 2 s on two cores
SQUARE_ROOT = ("Lamb", "Lion")  # optimizers that scale as Adam and its kin
FINEST = 8  # pixels; half the side of the smallest anchors, under which few objects are found


def epochs_for(images: int, recipe_epochs: float, recipe_images: int, batch: int) -> float:
    """How many rounds to train. `batch`: images a step."""
    rounds = min(recipe_epochs * (recipe_images / images) ** (1 / 3), max(MOST_EPOCHS, recipe_epochs))
    return max(1.0, rounds, LEAST_STEPS * batch / images)


def rate_for(rate: float, batch: int, recipe_batch: int, optimizer: str) -> float:
    """The learning rate for a number of images a step. `rate`: the recipe's, for `recipe_batch`."""
    power = 0.5 if optimizer in SQUARE_ROOT or "Adam" in optimizer else 1.0
    return rate * (batch / recipe_batch) ** power


def warm_up_for(own: int, steps: int) -> int:
    """The steps of the warm-up, where a recipe has one of `own` steps."""
    return min(own, max(2, int(steps * WARM_UP)))


def interval_for(length: Length, images: int, evaluated: int | None) -> int:
    """The epochs or steps from one evaluation to the next."""
    affordable = SHARE * length.epochs * images / (COST * max(1, evaluated or 0))
    return max(1, length.whole // max(1, min(EVALUATIONS, round(affordable))))


def scale_for(own: Scale | None, width: int, height: int) -> Scale | None:
    """The scale to train and test at, for images of a size; None: images as they are."""
    longer, shorter = max(width, height), min(width, height)
    if own is None:
        return (AS_THEY_ARE, AS_THEY_ARE) if longer > AS_THEY_ARE else None
    factor = min(own[0] / longer, own[1] / shorter)
    if factor <= ENLARGED:
        return own
    long, short = (math.ceil(side * ENLARGED / factor / 32) * 32 for side in own)
    return long, short


@dataclass(frozen=True)
class TrainingPlan:
    """What a training will be. What depends on images is None where nobody has looked at them.

    `rate_that_follows` is the one for this number of images a step, whatever `rate` was set to.
    """

    length: Length
    batch: int  # images a step, of all processes
    optimizer: str
    rate: float | None
    rate_that_follows: float | None
    warm_up: int  # steps
    every: int  # epochs or steps from one evaluation to the next
    data: Survey | None = None
    seen: Scale | None = None  # width and height of the median image in the network
    evaluated: int | None = None  # images of the validation split

    def lines(self) -> Iterator[str]:
        """The plan, for a reader."""
        known = f"{self.data.images:,} images, " if self.data else ""
        rounds = f"{self.length.epochs:.0f}" if self.length.epochs >= 10 else f"{self.length.epochs:.1f}"
        yield f"  length      {known}{self.batch} a step: {self.length.steps:,} steps, {rounds} epochs"
        rate = f"{self.rate:.2g}" if self.rate is not None else "as the config says"
        yield f"  rate        {rate} ({self.optimizer}), after a warm-up of {self.warm_up:,} steps"
        if self.data and self.seen:
            own = (self.data.width, self.data.height)
            there = "as they are" if own == self.seen else f"{said(self.seen)} in the network"
            yield f"  image size  {said(own)}, {there} (the median image)"
        times = -(-self.length.whole // self.every)
        on = f" on {self.evaluated:,} images" if self.evaluated else ""
        yield f"  evaluation  every {self.every:,} {self.length.unit}, {times} in all{on}; then a checkpoint"

    def notes(self) -> Iterator[str]:
        """What does not fit together."""
        if self.data and self.seen and self.data.object_side is not None:
            factor = self.seen[0] / self.data.width
            side = self.data.object_side * factor
            if side < FINEST:
                wider = math.ceil(max(self.seen) * FINEST / max(side, 1) / 32) * 32
                yield (
                    f"half of the objects are under {max(1, side):.0f} pixels wide in the network, too small "
                    f"to be found well: --img-scale {wider} takes larger images, and more time"
                )
        if self.rate and self.rate_that_follows:
            ratio = self.rate / self.rate_that_follows
            if not 1 / 4 <= ratio <= 4:
                yield (
                    f"the learning rate {self.rate:.2g} is {ratio:.2g} times the one that follows for "
                    f"{self.batch} images a step, {self.rate_that_follows:.2g}"
                )


def said(size: Scale) -> str:
    return f"{size[0]} x {size[1]}"
