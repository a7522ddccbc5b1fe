"""Pictures of a segmenter's validation and test that say what they are: truth beside prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.dist import master_only
from mmengine.runner import Runner
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.registry import HOOKS, VISUALIZERS
from mmseg.visualization import SegLocalVisualizer

from .titles import PictureNames, enlargement, hand_on, titled, write

NAMED = 1 / 200  # of a picture's pixels: the least that a class has to cover to be named


@HOOKS.register_module()
class TitledMapsHook(SegVisualizationHook):
    """MMSegmentation's hook, with its arguments. Each evaluation draws the same images, to files of its own.

    Args:
        test_out_dir: where a test draws every image.
    """

    def __init__(self, *arguments: Any, test_out_dir: str | None = None, **named: Any):
        super().__init__(*arguments, **named)
        self.test_out_dir = test_out_dir
        self.name_of = PictureNames()

    @master_only  # has the picture, and writes it
    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any, outputs: Sequence[Any], mode: str = "val"
    ) -> None:
        if not self.draw or mode == "train" or (mode == "val" and batch_idx % self.interval):
            return
        for sample in outputs if mode == "test" else outputs[:1]:
            name = self.name_of(sample.img_path)
            file = Path(self.test_out_dir, f"{name}.png") if self.test_out_dir else None
            self._visualizer.add_datasample(
                f"{name}_step",
                mmcv.imread(sample.img_path, channel_order="rgb"),
                data_sample=sample,
                show=self.show,
                wait_time=self.wait_time,
                out_file=file and str(file),
                # In a test, to ask the runner for its step would build the training's data set.
                step=0 if mode == "test" else runner.iter,
            )


@VISUALIZERS.register_module()
class TitledMapsVisualizer(SegLocalVisualizer):
    """MMSegmentation's visualizer, whose pictures are titled; what has no label keeps the image's colours."""

    holds = False  # while the picture is being drawn, and not yet titled

    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        if self.holds:
            self.set_image(image)  # both halves
        else:
            super().add_image(name, image, step)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: Any = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        with_labels: bool | None = True,
    ) -> None:
        """Draw as MMSegmentation does, and write above each half what it is."""
        self.holds = True
        try:
            super().add_datasample(name, image, data_sample, draw_gt, draw_pred, step=step)
        finally:
            self.holds = False
        sample = data_sample if data_sample is not None else {}
        parts = [("truth", draw_gt and "gt_sem_seg" in sample)]
        parts += [("prediction", draw_pred and "pred_sem_seg" in sample)]
        drawn = titled(self.get_image(), [title for title, there in parts if there])
        hand_on(self, name, drawn, show, wait_time, out_file, step)

    def _draw_sem_seg(
        self, image: np.ndarray, sem_seg: Any, classes: Any, palette: Any, with_labels: bool | None = True
    ) -> np.ndarray:
        """Colours and names of the classes, of sizes that the picture decides. image: [h, w, 3], RGB."""
        scale = enlargement(image)
        drawn = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        labels = sem_seg.cpu().data[0].numpy().astype(np.int32)
        labels = cv2.resize(labels, drawn.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        there = [label for label in np.unique(labels) if label < len(classes)]
        for label in there:
            pixels = labels == label
            drawn[pixels] = (drawn[pixels] * (1 - self.alpha) + np.array(palette[label]) * self.alpha).astype(
                np.uint8
            )
        for label in there:
            pixels = (labels == label).astype(np.uint8)
            if with_labels and pixels.mean() >= NAMED:
                # The middle of the widest place, which lies within the class.
                depth = cv2.distanceTransform(np.pad(pixels, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
                top, left = np.unravel_index(depth.argmax(), depth.shape)
                write(drawn, str(classes[label]), int(left), int(top))
        self.set_image(drawn)
        return drawn
