"""A trained segmenter in use: images in, label maps out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from ..openmmlab.quiet import without
from .opening import Opened
from .predictor import Predictor, View
from .tiles import Tile, joined_maps

BYTES = 800  # that the network needs for a pixel that it sees, about
SCORE = 4  # bytes of a class's score for a pixel


class Segmenter(Predictor[np.ndarray]):
    """A segmenter that `tools/train.py` trained, ready to look at images.

    >>> segmenter = Segmenter(checkpoint="work_dirs/mine/iter_20000.pth")
    >>> for image, labels in segmenter("photos/"):
    ...     print((labels == segmenter.classes.names.index("disk")).mean())

    `image` is [height, width, 3] in BGR, 0 to 255. `labels` is [height, width] in the image's own size: the
    number of each pixel's class, counted from 0 in the order of `segmenter.classes.names`. It is of uint8,
    of more than 255 classes of uint16. Whether the network sees an image whole or through a sliding window
    is the config's `model.test_cfg`.

    Args:
        config, checkpoint, device: see `Predictor`.
        classes: names of the classes to look for; the pixels of others get the number `nothing`, 255.
        batch_size: tiles of an image, or images of one size, that go through the network together.
        tile: pixels along the side of the tiles that large images are cut into. Tiles that overlap meet in
            the middle of what both see.
        amp, overlap, tta, deploy, most_pixels: see `Predictor`.

    Raises:
        CheckpointError: where the checkpoint cannot be used, and says why.
        ValueError: where another argument cannot.
    """

    trained = "segmenter"

    def __init__(
        self,
        config: str | Path | Config | None = None,
        checkpoint: str | Path | Opened | None = None,
        device: str | None = None,
        *,
        classes: Sequence[str] | None = None,
        batch_size: int = 1,
        amp: bool = False,
        tile: int | None = None,
        overlap: float = 0.2,
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
            tile=tile,
            overlap=overlap,
            tta=tta,
            deploy=deploy,
            most_pixels=most_pixels,
        )
        self.merges = tta
        self.dtype = dtype_of(len(self.classes.names))
        self.nothing = nothing_in(self.dtype)

    def _network(self, views: Sequence[View]) -> list[np.ndarray]:
        if not self.merges:
            return super()._network(views)
        with without("The shape of value will convert from"):  # MMEngine, for each size anew
            return super()._network(views)

    def _go_together(self, views: Sequence[View]) -> bool:
        sizes = {(tile.right - tile.left, tile.bottom - tile.top) for tile, *_ in views}
        return len(sizes) == 1 and super()._go_together(views)

    def _shape_is_wrong(self, height: int, width: int) -> str:
        """Each class has a score for each pixel of the image, however small the network sees it."""
        if self.most_pixels is None:
            return ""
        side = self.tile or max(height, width)
        needed = min(height, side) * min(width, side) * len(self.classes.names) * SCORE
        if needed <= self.most_pixels * BYTES:
            return ""
        return (
            f"whose scores for {len(self.classes.names)} classes need {needed / 1e9:.3g} GB; it takes "
            f"{self.most_pixels * BYTES / 1e9:.3g} GB here: make it smaller"
        )

    def _joined(
        self, tiles: Sequence[Tile], found: Sequence[np.ndarray], shape: tuple[int, int]
    ) -> np.ndarray:
        return joined_maps(tiles, found, shape)

    def _result(self, sample: Any, tile: Tile) -> np.ndarray:
        if "pred_sem_seg" not in sample:
            raise ValueError("this segmenter gives no class for each pixel, so there is nothing to predict")
        labels = sample.pred_sem_seg.data
        labels = labels.reshape(labels.shape[-2:]).cpu().numpy().astype(self.dtype)
        return labels if self.wanted is None else only(labels, self.wanted)


def dtype_of(classes: int) -> type[np.unsignedinteger]:
    """Of a label map; its largest number is that of no class."""
    return np.uint8 if classes < 256 else np.uint16


def nothing_in(dtype: Any) -> int:
    """The number of a pixel without a class, which MMSegmentation ignores."""
    return int(np.iinfo(dtype).max)


def only(labels: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """A label map in which pixels of other classes have none."""
    return np.where(np.isin(labels, wanted), labels, nothing_in(labels.dtype)).astype(labels.dtype)


def shares_of(labels: np.ndarray, classes: int) -> list[tuple[int, float]]:
    """The numbers of the classes of a label map and their shares of its pixels, 0 to 1, largest first."""
    counts = np.bincount(labels.reshape(-1), minlength=classes)[:classes]
    there = np.flatnonzero(counts)
    order = there[np.argsort(-counts[there], kind="stable")]
    return [(int(label), float(counts[label] / labels.size)) for label in order]
