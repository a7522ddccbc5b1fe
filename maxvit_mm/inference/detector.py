"""A trained detector in use: images in, `supervision`'s detections out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import supervision as sv
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from supervision.detection.compact_mask import CompactMask

from ..network.trunk import SMALLEST_IMAGE
from ..openmmlab.retarget import most_per_image
from .ahead import ahead
from .building import device_of, pipeline_of
from .exporting.reading import cpu_for, is_onnx
from .opening import open_checkpoint
from .sources import Complain, Frame, Source, SourceError, frames_of, refuse, sources_of
from .tiles import Tile, joined, tiles_of

AHEAD = 2  # batches that are decoded, and found, before they are asked for
MOST_PADDING = 0.5  # of a batch's pixels, before images of other sizes wait for the next one


class View(NamedTuple):
    """What the network sees of a frame: all of it or a tile, as the test pipeline prepared it."""

    tile: Tile
    data: dict[str, Any]
    shape: tuple[int, ...]


class Detector:
    """A detector that `tools/train.py` trained, ready to look at images.

    >>> detector = Detector(checkpoint="work_dirs/mine/iter_1000.pth")
    >>> for image, detections in detector("photos/"):
    ...     print(detections["class_name"], detections.xyxy)

    `image` is [height, width, 3] in BGR, 0 to 255, as supervision's annotators and OpenCV take it.
    `detections` is a `supervision.Detections`: `xyxy` in the image's pixels, `confidence`, `class_id`,
    `data["class_name"]`, and `mask` where the detector has masks: supervision's `CompactMask`, of which
    `mask[i]` is [height, width] and `np.asarray(mask)` all, [n, height, width]. Best first.

    Decoding and the network run in threads, a few images ahead.

    Args:
        config: a config file, the name of one of ours, or a `Config`; without it, the checkpoint's own.
        checkpoint: of `tools/train.py`, or an .onnx of `tools/export.py`; the only argument is one, too.
        device: such as 'cuda:0'; without it, the first GPU, or the CPU where there is none.
        score_thr: the lowest score, 0 to 1. Nothing below the config's own is found.
        classes: names of the classes to look for; without them, all.
        batch_size: images, or tiles of an image, that go through the network together. Images of similar
            sizes are padded to the largest, which may change the last digits of a score.
        amp: mixed precision.
        tile: pixels along the side of the tiles that large images are cut into; without it they are not.
        overlap: the part of a tile's side that it shares with the next, at least; 0 to 0.9.
        tta: look at the mirror image as well, and merge.
        deploy: fold the backbone's BatchNorms first: faster, the same results to rounding.
        most_pixels: of an image, or of a tile, as the network sees it; of more, the image is complained of.

    Raises:
        CheckpointError: where the checkpoint cannot be used, and says why.
        ValueError: where another argument cannot.
    """

    def __init__(
        self,
        config: str | Path | Config | None = None,
        checkpoint: str | Path | None = None,
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
        if checkpoint is None:
            config, checkpoint = None, config
        if not isinstance(checkpoint, str | Path):
            raise ValueError("name a checkpoint: Detector(checkpoint='work_dirs/mine/iter_1000.pth')")
        check_numbers(score_thr, batch_size, tile, overlap)
        opened = open_checkpoint(checkpoint, config)
        self.config, self.differences = opened.config, opened.differences
        self.classes, self.decoder = opened.classes, opened.decoder
        self.score_thr, self.batch_size, self.tile, self.overlap = score_thr, batch_size, tile, overlap
        self.device = cpu_for(device, amp) if is_onnx(checkpoint) else device_of(device)
        self.amp, self.most_pixels = amp, most_pixels
        self.most = most_per_image(self.config)
        self.wanted = self.classes.ids_of(classes)
        self.pipeline = pipeline_of(self.config, tta)
        self.model = opened.build(score_thr, tta, deploy).to(self.device)

    def __call__(
        self, source: Any, recursive: bool = False, complain: Complain = refuse
    ) -> Iterator[tuple[np.ndarray, sv.Detections]]:
        """Find objects in files, folders, patterns, lists, videos, cameras, streams, or arrays as `image` is.

        Args:
            source: one of them, or a sequence.
            recursive: look into folders within folders.
            complain: is told the name of each source that cannot be read, and why; without it, that raises
                a `SourceError`.
        """
        for frame, found in self.look_at(frames_from(source, self.decoder, recursive, complain), complain):
            yield frame.image, found

    def look_at(
        self, frames: Iterable[Frame], complain: Complain = refuse
    ) -> Iterator[tuple[Frame, sv.Detections]]:
        """What is found in frames, in their order."""
        prepared = ahead(self._prepared(frames, complain), AHEAD * self.batch_size)
        return ahead(self._found(prepared), AHEAD * self.batch_size)

    def _prepared(self, frames: Iterable[Frame], complain: Complain) -> Iterator[tuple[Frame, list[View]]]:
        for frame in frames:
            height, width = frame.image.shape[:2]
            whole = [Tile(0, 0, width, height)]
            tiles = tiles_of(height, width, self.tile, self.overlap) if self.tile else whole
            views = [self._view(frame.image, tile) for tile in tiles]
            wrong = self._size_is_wrong([view.shape for view in views])
            if wrong:
                complain(frame.source.name, f"is {width}x{height} pixels, of which the network sees {wrong}")
                continue
            yield frame, views

    def _size_is_wrong(self, shapes: Sequence[tuple[int, ...]]) -> str:
        """Why the network cannot see views of these shapes [3, height, width]; empty where it can."""
        shortest = min(side for shape in shapes for side in shape[-2:])
        if shortest < SMALLEST_IMAGE:
            return f"{shortest} along a side; it takes {SMALLEST_IMAGE} or more"
        height, width = max((shape[-2:] for shape in shapes), key=math.prod)
        if self.most_pixels is not None and height * width > self.most_pixels:
            most, seen = (f"{number / 10**6:.3g}" for number in (self.most_pixels, height * width))
            return f"{width}x{height}, {seen} million in all; it takes {most} million here: make it smaller"
        return ""

    def _view(self, image: np.ndarray, tile: Tile) -> View:
        left, top, right, bottom = tile
        data = self.pipeline(dict(img=np.ascontiguousarray(image[top:bottom, left:right]), img_id=0))
        inputs = data["inputs"]
        return View(tile, data, tuple((inputs[0] if isinstance(inputs, list) else inputs).shape))

    def _found(self, prepared: Iterable[tuple[Frame, list[View]]]) -> Iterator[tuple[Frame, sv.Detections]]:
        waiting: list[tuple[Frame, list[View]]] = []
        for frame, views in prepared:
            together = [view.shape for _, each in waiting for view in each] + [views[0].shape]
            if waiting and (self.tile or padding(together) > MOST_PADDING):
                yield from self._look(waiting)
                waiting = []
            waiting.append((frame, views))
            if len(waiting) == self.batch_size:
                yield from self._look(waiting)
                waiting = []
        if waiting:
            yield from self._look(waiting)

    def _look(self, waiting: list[tuple[Frame, list[View]]]) -> Iterator[tuple[Frame, sv.Detections]]:
        views = [view for _, each in waiting for view in each]
        found: list[sv.Detections] = []
        for start in range(0, len(views), self.batch_size):
            found += self._network(views[start : start + self.batch_size])
        for frame, each in waiting:
            own, found = found[: len(each)], found[len(each) :]
            tiles = [view.tile for view in each]
            shape = frame.image.shape[:2]
            yield frame, joined(tiles, own, shape) if len(tiles) > 1 else own[0]

    def _network(self, views: Sequence[View]) -> list[sv.Detections]:
        dtype = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        with torch.inference_mode(), torch.autocast(self.device.type, dtype, enabled=self.amp):
            samples = self.model.test_step(pseudo_collate([view.data for view in views]))
        return [self._detections(sample, view.tile) for sample, view in zip(samples, views, strict=True)]

    def _detections(self, sample: Any, tile: Tile) -> sv.Detections:
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


def check_numbers(score_thr: float, batch_size: int, tile: int | None, overlap: float) -> None:
    if not 0 <= score_thr <= 1:
        raise ValueError(f"score_thr is {score_thr}: scores are from 0 to 1")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: take 1 or more")
    if tile is not None and tile < SMALLEST_IMAGE:
        raise ValueError(f"tile is {tile}: a tile has {SMALLEST_IMAGE} pixels or more along a side")
    if not 0 <= overlap <= 0.9:
        raise ValueError(f"overlap is {overlap}: it is a part of a tile's side, from 0 to 0.9")


def padding(shapes: Sequence[tuple[int, ...]]) -> float:
    """The part of a batch that would be padding, for images [3, height, width]."""
    height, width = (max(shape[axis] for shape in shapes) for axis in (1, 2))
    return 1 - sum(shape[1] * shape[2] for shape in shapes) / (len(shapes) * height * width)


def frames_from(source: Any, decoder: Any, recursive: bool, complain: Complain) -> Iterator[Frame]:
    """The frames of anything that names or is an image, or of a sequence of such things."""
    several = source if isinstance(source, list | tuple) else [source]
    for number, each in enumerate(several):
        if isinstance(each, np.ndarray):
            if each.ndim != 3 or each.shape[2] != 3 or each.dtype != np.uint8:
                raise SourceError(
                    f"an array {each.shape} of {each.dtype} is no image [height, width, 3] of uint8"
                )
            yield Frame(each, Source("image", f"array {number}", PurePosixPath(f"{number}.png")))
        else:
            yield from frames_of(sources_of([str(each)], recursive, complain), decoder, complain)
