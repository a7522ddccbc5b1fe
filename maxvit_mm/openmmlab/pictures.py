"""Pictures of a detector's validation and test that say what they are: truth and prediction, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.visualization import DetLocalVisualizer
from mmdet.visualization.palette import get_palette
from mmengine.dist import master_only
from mmengine.registry import HOOKS, VISUALIZERS
from mmengine.runner import Runner

from .titles import PictureNames, enlargement, hand_on, titled, write

NAMED = 40  # objects of an image, beyond which names would hide them
MAPS = ("sem_seg", "panoptic_seg")


@HOOKS.register_module()
class TitledPicturesHook(DetVisualizationHook):
    """MMDetection's hook, with its arguments. Each evaluation draws the same images, to files of its own."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.name_of = PictureNames()

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any, outputs: Any) -> None:
        if self.draw and batch_idx % self.interval == 0:
            self.draw_sample(outputs[0], step=runner.iter)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any, outputs: Any) -> None:
        if self.draw:
            folder = Path(runner.work_dir, runner.timestamp, self.test_out_dir) if self.test_out_dir else None
            for sample in outputs:
                self.draw_sample(sample, folder)

    @master_only  # has the picture, and writes it
    def draw_sample(self, sample: Any, folder: Path | None = None, step: int = 0) -> None:
        """Draw one image, into a folder, or to where the visualizer keeps its pictures."""
        name = self.name_of(sample.img_path)
        file = folder and folder / f"{name}{Path(sample.img_path).suffix}"
        self._visualizer.add_datasample(
            f"{name}_step",
            mmcv.imread(sample.img_path, channel_order="rgb"),
            data_sample=sample,
            show=self.show,
            wait_time=self.wait_time,
            pred_score_thr=self.score_thr,
            out_file=file and str(file),
            step=step,
        )


@VISUALIZERS.register_module()
class TitledVisualizer(DetLocalVisualizer):
    """MMDetection's visualizer, whose pictures are titled and whose classes have a colour each."""

    enlarged = 1
    holds = False  # while the picture is being drawn, and not yet titled

    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        if not self.holds:
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
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """Draw as MMDetection does, and write above each half what it is."""
        maps = any(f"{of}_{kind}" in (data_sample or {}) for of in ("gt", "pred") for kind in MAPS)
        self.enlarged = 1 if maps else enlargement(image)
        self.holds = True
        try:
            super().add_datasample(
                name, image, data_sample, draw_gt, draw_pred, pred_score_thr=pred_score_thr, step=step
            )
        finally:
            self.holds = False
        halves = ["truth"] * draw_gt + [f"prediction, scores above {pred_score_thr:g}"] * draw_pred
        drawn = titled(self.get_image(), halves if data_sample is not None else [])
        hand_on(self, name, drawn, show, wait_time, out_file, step)

    def _draw_instances(self, image: np.ndarray, instances: Any, classes: Any, palette: Any) -> np.ndarray:
        """Masks, boxes and names, of sizes that the picture's own decides. image: [h, w, 3], RGB."""
        scale = self.enlarged
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        labels = [int(label) for label in instances.labels]
        known = palette if isinstance(palette, list) and len(palette) > max(labels, default=0) else "coco"
        colours = get_palette(known, max([*labels, 79]) + 1 if known == "coco" else len(palette))
        masks = masks_of(instances)
        for mask, label in zip(masks, labels, strict=True) if masks is not None else ():
            mask = cv2.resize(mask.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
            image[mask] = (0.5 * image[mask] + 0.5 * np.array(colours[label])).astype(np.uint8)
        line = max(1, round(max(image.shape[:2]) / 500))
        boxes = instances.bboxes
        boxes = (getattr(boxes, "tensor", boxes) * scale).round().int().tolist()
        for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
            cv2.rectangle(image, (left, top), (right, bottom), tuple(map(int, colours[label])), line)
        scores = instances.scores.tolist() if "scores" in instances else [None] * len(labels)
        if len(labels) <= NAMED:
            for (left, top, *_), label, score in zip(boxes, labels, scores, strict=True):
                name = classes[label] if classes else f"class {label}"
                write(image, name if score is None else f"{name} {score:.0%}", left, top)
        return image


def masks_of(instances: Any) -> np.ndarray | None:
    """The masks of instances, of any of MMDetection's types: [n, h, w]; None where they have boxes alone."""
    masks = instances.get("masks")
    if masks is None:
        return None
    if isinstance(masks, torch.Tensor):
        return masks.numpy().astype(bool)
    return masks.to_ndarray().astype(bool)
