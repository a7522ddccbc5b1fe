"""A trained classifier in use: images in, `supervision`'s classifications out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from mmengine.config import Config

from .opening import Opened
from .predictor import Predictor
from .tiles import Tile

LONGEST = 100  # times as long as wide: an image whose shorter side is resized becomes as much longer
TOP = 5  # classes that are shown of an image


class Classifier(Predictor[sv.Classifications]):
    """A classifier that `tools/train.py` trained, ready to look at images.

    >>> classifier = Classifier(checkpoint="work_dirs/mine/epoch_100.pth")
    >>> for image, found in classifier("photos/"):
    ...     print(classifier.classes.names[found.class_id[0]], found.confidence[0])

    `image` is [height, width, 3] in BGR, 0 to 255. `found` is a `supervision.Classifications`: `class_id`,
    numbers in the order of `classifier.classes.names`, and `confidence`, their probabilities. Best first.

    `tools/classify.py` is for converted ImageNet weights; this is for what was trained here.

    Args:
        config, checkpoint, device: see `Predictor`.
        classes: names of the classes to choose among; their probabilities stay as they are.
        batch_size: images that go through the network together, where the config makes them of one size.
        amp, tta, deploy, most_pixels: see `Predictor`.

    Raises:
        CheckpointError: where the checkpoint cannot be used, and says why.
        ValueError: where another argument cannot.
    """

    trained = "classifier"

    def __init__(
        self,
        config: str | Path | Config | None = None,
        checkpoint: str | Path | Opened | None = None,
        device: str | None = None,
        *,
        classes: Sequence[str] | None = None,
        batch_size: int = 1,
        amp: bool = False,
        tta: bool = False,
        deploy: bool = True,
        most_pixels: int | None = None,
    ):
        super().__init__(
            config,
            checkpoint,
            device,
            classes=classes,
            batch_size=batch_size,
            amp=amp,
            tta=tta,
            deploy=deploy,
            most_pixels=most_pixels,
        )

    def _shape_is_wrong(self, height: int, width: int) -> str:
        times = max(height, width) / min(height, width)
        return f"{times:.0f} times as long as wide; it takes {LONGEST} times" if times > LONGEST else ""

    def _joined(
        self, tiles: Sequence[Tile], found: Sequence[sv.Classifications], shape: tuple[int, int]
    ) -> sv.Classifications:
        raise AssertionError("an image to be classified is not cut into tiles")

    def _result(self, sample: Any, tile: Tile) -> sv.Classifications:
        if "pred_score" not in sample:
            raise ValueError("this classifier gives no score for each class, so there is nothing to predict")
        scores = sample.pred_score.float().cpu().numpy()
        labels = np.arange(len(scores)) if self.wanted is None else np.array(self.wanted)
        order = labels[np.argsort(-scores[labels], kind="stable")]
        return sv.Classifications(class_id=order, confidence=scores[order])
