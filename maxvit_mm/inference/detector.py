"""A trained detector in use: images in, `supervision`'s detections out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
import torch
from mmengine.config import Config
from supervision.detection.compact_mask import CompactMask

from ..openmmlab.retarget import most_per_image
from .opening import Opened
from .predictor import Predictor, View
from .tiles import Tile, joined

MOST_PADDING = 0.5  # of a batch's pixels, before images of other sizes wait for the next one


class Detector(Predictor[sv.Detections]):
    """A detector that `tools/train.py` trained, ready to look at images.

    >>> detector = Detector(checkpoint="work_dirs/mine/iter_1000.pth")
    >>> for image, detections in detector("photos/"):
    ...     print(detections["class_name"], detections.xyxy)

    `image` is [height, width, 3] in BGR, 0 to 255, as supervision's annotators and OpenCV take it.
    `detections` is a `supervision.Detections`: `xyxy` in the image's pixels, `confidence`, `class_id`,
    `data["class_name"]`, and `mask` where the detector has masks: supervision's `CompactMask`, of which
    `mask[i]` is [height, width] and `np.asarray(mask)` all, [n, height, width]. Best first.

    Args:
        config, checkpoint, device: see `Predictor`.
        score_thr: the lowest score, 0 to 1. Nothing below the config's own is found.
        batch_size: images, or tiles of an image, that go through the network together. Images of similar
            sizes are padded to the largest, which may change the last digits of a score.
        classes, amp, tile, overlap, tta, deploy, most_pixels: see `Predictor`.

    Raises:
        CheckpointError: where the checkpoint cannot be used, and says why.
        ValueError: where another argument cannot.
    """

    trained = "detector"

    def __init__(
        self,
        config: str | Path | Config | None = None,
        checkpoint: str | Path | Opened | None = None,
        device: str | None = None,
        *,
        score_thr: float = 0.3,
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
            score_thr=score_thr,
            classes=classes,
            batch_size=batch_size,
            amp=amp,
            tile=tile,
            overlap=overlap,
            tta=tta,
            deploy=deploy,
            most_pixels=most_pixels,
        )
        self.score_thr = score_thr
        self.most = most_per_image(self.config)

    def _go_together(self, views: Sequence[View]) -> bool:
        return padding([view.shape for view in views]) <= MOST_PADDING

    def _joined(
        self, tiles: Sequence[Tile], found: Sequence[sv.Detections], shape: tuple[int, int]
    ) -> sv.Detections:
        return joined(tiles, found, shape)

    def _result(self, sample: Any, tile: Tile) -> sv.Detections:
        if "pred_panoptic_seg" in sample:
            raise ValueError(
                "this is a panoptic network, which is not shown here: tools/test.py --show-dir draws its maps"
            )
        if "pred_instances" not in sample:
            raise ValueError("this detector finds no instances with boxes, so there is nothing to predict")
        found = sample.pred_instances
        keep = found.scores >= self.score_thr
        if self.wanted is not None:
            keep &= torch.isin(found.labels, torch.tensor(self.wanted, device=keep.device))
        found = found[keep]
        labels = found.labels.cpu().numpy().astype(int)
        boxes = found.bboxes.float().cpu().numpy().reshape(-1, 4)
        shape = (tile.bottom - tile.top, tile.right - tile.left)
        masks = None
        if "masks" in found:
            # A mask may reach a pixel beyond its box, which was rounded.
            around = boxes + np.array([-1, -1, 1, 1], np.float32)
            masks = CompactMask.from_dense(found.masks.cpu().numpy().astype(bool), around, shape)
        return sv.Detections(
            xyxy=boxes,
            mask=masks,
            confidence=found.scores.float().cpu().numpy(),
            class_id=labels,
            data={"class_name": np.array(self.classes.names)[labels]},
        )


def padding(shapes: Sequence[tuple[int, ...]]) -> float:
    """The part of a batch that would be padding, for images [3, height, width]."""
    height, width = (max(shape[axis] for shape in shapes) for axis in (1, 2))
    return 1 - sum(shape[1] * shape[2] for shape in shapes) / (len(shapes) * height * width)
