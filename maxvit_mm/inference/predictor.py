"""A trained model in use, whatever its task: images in, a result for each out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from ..network.trunk import SMALLEST_IMAGE
from ..openmmlab.tasks import task_of
from ..weights import CheckpointError
from .ahead import ahead
from .building import device_of, pipeline_of
from .exporting.reading import cpu_for, is_onnx
from .opening import Opened, open_checkpoint
from .sources import Complain, Frame, Source, SourceError, frames_of, refuse, sources_of
from .tiles import Tile, tiles_of

AHEAD = 2  # batches that are decoded, and found, before they are asked for
Result = TypeVar("Result")


class View(NamedTuple):
    """What the network sees of a frame: all of it or a tile, as the test pipeline prepared it."""

    tile: Tile
    data: dict[str, Any]
    shape: tuple[int, ...]


class Predictor(ABC, Generic[Result]):
    """What `Detector`, `Segmenter` and `Classifier` share: a checkpoint, opened, and images on their way.

    Decoding and the network run in threads, a few images ahead.

    Args:
        config: a config file, the name of one of ours, or a `Config`; without it, the checkpoint's own.
        checkpoint: of `tools/train.py`, or an .onnx of `tools/export.py`; the only argument is one, too.
            It may have been opened already.
        device: such as 'cuda:0'; without it, the first GPU, or the CPU where there is none.
        score_thr: below it nothing is needed, 0 to 1.
        classes: names of the classes to look for; without them, all.
        batch_size: images, or tiles of an image, that go through the network together.
        amp: mixed precision.
        tile: pixels along the side of the tiles that large images are cut into; without it they are not.
        overlap: the part of a tile's side that it shares with the next, at least; 0 to 0.9.
        tta: look at the mirror image as well, and merge.
        deploy: fold the backbone's BatchNorms first: faster, the same results to rounding.
        most_pixels: of an image, or of a tile, as the network sees it; of more, the image is complained of.

    Attributes:
        trained: what its checkpoints are, as their `Task` has it, such as 'detector'.
        differences: what a config that was given does otherwise than the checkpoint's own.

    Raises:
        CheckpointError: where the checkpoint cannot be used, or is another task's, and says why.
        ValueError: where another argument cannot.
    """

    trained: ClassVar[str]

    def __init__(
        self,
        config: str | Path | Config | None,
        checkpoint: str | Path | Opened | None,
        device: str | None,
        *,
        score_thr: float = 0.0,
        classes: Sequence[str] | None = None,
        batch_size: int = 1,
        amp: bool = False,
        tile: int | None = None,
        overlap: float = 0.2,
        tta: bool = False,
        deploy: bool = True,
        most_pixels: int | None = None,
    ):
        if checkpoint is None and not isinstance(config, Config):
            config, checkpoint = None, config
        if not isinstance(checkpoint, str | Path | Opened):
            kind = type(self).__name__
            raise ValueError(f"name a checkpoint: {kind}(checkpoint='work_dirs/mine/iter_1000.pth')")
        check_numbers(score_thr, batch_size, tile, overlap)
        opened = checkpoint if isinstance(checkpoint, Opened) else open_checkpoint(checkpoint, config)
        self.refuse_other_task(opened)
        self.config, self.differences = opened.config, opened.differences
        self.classes, self.decoder = opened.classes, opened.decoder
        self.batch_size, self.tile, self.overlap = batch_size, tile, overlap
        self.device = cpu_for(device, amp) if is_onnx(opened.source) else device_of(device)
        self.amp, self.most_pixels = amp, most_pixels
        self.wanted = self.classes.ids_of(classes)
        self.pipeline = pipeline_of(self.config, tta)
        self.model = opened.build(score_thr, tta, deploy).to(self.device)

    def refuse_other_task(self, opened: Opened) -> None:
        trained = task_of(opened.config).trained
        if trained != self.trained:
            raise CheckpointError(
                f"{opened.source} is a {trained} and no {self.trained}: open it with "
                f"maxvit_mm.{trained.capitalize()}"
            )

    def __call__(
        self, source: Any, recursive: bool = False, complain: Complain = refuse
    ) -> Iterator[tuple[np.ndarray, Result]]:
        """Look at files, folders, patterns, lists, videos, cameras, streams, or arrays [height, width, 3].

        Args:
            source: one of them, or a sequence. Arrays are in BGR, 0 to 255.
            recursive: look into folders within folders.
            complain: is told the name of each source that cannot be read, and why; without it, that raises
                a `SourceError`.
        """
        for frame, found in self.look_at(frames_from(source, self.decoder, recursive, complain), complain):
            yield frame.image, found

    def look_at(self, frames: Iterable[Frame], complain: Complain = refuse) -> Iterator[tuple[Frame, Result]]:
        """The results of frames, in their order."""
        prepared = ahead(self._prepared(frames, complain), AHEAD * self.batch_size)
        return ahead(self._found(prepared), AHEAD * self.batch_size)

    @abstractmethod
    def _result(self, sample: Any, tile: Tile) -> Result:
        """What the network says of a tile, from what its library calls a data sample."""

    @abstractmethod
    def _joined(self, tiles: Sequence[Tile], found: Sequence[Result], shape: tuple[int, int]) -> Result:
        """The results of several tiles as that of the whole image, [height, width]."""

    def _go_together(self, views: Sequence[View]) -> bool:
        """Whether the network may see views at once."""
        return len({view.shape for view in views}) == 1

    def _prepared(self, frames: Iterable[Frame], complain: Complain) -> Iterator[tuple[Frame, list[View]]]:
        for frame in frames:
            height, width = frame.image.shape[:2]
            whole = [Tile(0, 0, width, height)]
            tiles = tiles_of(height, width, self.tile, self.overlap) if self.tile else whole
            wrong = self._shape_is_wrong(height, width)
            if wrong:
                complain(frame.source.name, f"is {width}x{height} pixels, {wrong}")
                continue
            views = [self._view(frame.image, tile) for tile in tiles]
            wrong = self._size_is_wrong([view.shape for view in views])
            if wrong:
                complain(frame.source.name, f"is {width}x{height} pixels, of which the network sees {wrong}")
                continue
            yield frame, views

    def _shape_is_wrong(self, height: int, width: int) -> str:
        """Why an image of this shape cannot be prepared; empty where it can."""
        return ""

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

    def _found(self, prepared: Iterable[tuple[Frame, list[View]]]) -> Iterator[tuple[Frame, Result]]:
        waiting: list[tuple[Frame, list[View]]] = []
        for frame, views in prepared:
            together = [view for _, each in waiting for view in each] + [views[0]]
            if waiting and (self.tile or not self._go_together(together)):
                yield from self._look(waiting)
                waiting = []
            waiting.append((frame, views))
            if len(waiting) == self.batch_size:
                yield from self._look(waiting)
                waiting = []
        if waiting:
            yield from self._look(waiting)

    def _look(self, waiting: list[tuple[Frame, list[View]]]) -> Iterator[tuple[Frame, Result]]:
        views = [view for _, each in waiting for view in each]
        found: list[Result] = []
        for start in range(0, len(views), self.batch_size):
            found += self._network(views[start : start + self.batch_size])
        for frame, each in waiting:
            own, found = found[: len(each)], found[len(each) :]
            tiles = [view.tile for view in each]
            shape = frame.image.shape[:2]
            yield frame, self._joined(tiles, own, shape) if len(tiles) > 1 else own[0]

    def _network(self, views: Sequence[View]) -> list[Result]:
        dtype = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        with torch.inference_mode(), torch.autocast(self.device.type, dtype, enabled=self.amp):
            samples = self.model.test_step(pseudo_collate([view.data for view in views]))
        return [self._result(sample, view.tile) for sample, view in zip(samples, views, strict=True)]


def check_numbers(score_thr: float, batch_size: int, tile: int | None, overlap: float) -> None:
    if not 0 <= score_thr <= 1:
        raise ValueError(f"score_thr is {score_thr}: scores are from 0 to 1")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: take 1 or more")
    if tile is not None and tile < SMALLEST_IMAGE:
        raise ValueError(f"tile is {tile}: a tile has {SMALLEST_IMAGE} pixels or more along a side")
    if not 0 <= overlap <= 0.9:
        raise ValueError(f"overlap is {overlap}: it is a part of a tile's side, from 0 to 0.9")


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
