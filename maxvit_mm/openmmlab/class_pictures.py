"""Pictures of a classifier's validation and test that say what they are: truth and prediction above."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv
from mmengine.dist import master_only
from mmpretrain.engine.hooks import VisualizationHook
from mmpretrain.registry import HOOKS

from .titles import PictureNames, enlargement, titled


@HOOKS.register_module()
class TitledClassesHook(VisualizationHook):
    """MMPretrain's hook, with its arguments. Draws the files, not the crops that the network sees.

    MMPretrain's takes those for RGB, and they are BGR.
    """

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.name_of = PictureNames(folders=1)  # which say a class

    @master_only  # two processes could call two images by one name
    def _draw_samples(
        self, batch_idx: int, data_batch: Any, data_samples: Sequence[Any], step: int = 0
    ) -> None:
        if not self.enable:
            return
        start = batch_idx * len(data_samples)
        classes = (self._visualizer.dataset_meta or {}).get("classes")
        for number, sample in enumerate(data_samples, start):
            if number % self.interval:
                continue
            image = mmcv.imread(sample.img_path, channel_order="rgb")
            scale = enlargement(image)
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            drawn = titled(image, [title_of(sample, classes)])
            name = self.name_of(sample.img_path)
            if self.show:
                self._visualizer.show(drawn, win_name=name, wait_time=self.draw_args.get("wait_time", 0))
            if self.out_dir is not None:
                mmcv.imwrite(drawn[..., ::-1], str(Path(self.out_dir, f"{name}.png")))
            elif not self.show:
                self._visualizer.add_image(f"{name}_step", drawn, step=step)


def title_of(sample: Any, classes: Sequence[str] | None) -> str:
    """The truth, where it is known, and the prediction with its probability."""

    def said(label: int) -> str:
        return classes[label] if classes else f"class {label}"

    parts = []
    if "gt_label" in sample:
        parts.append(f"truth: {', '.join(map(said, sample.gt_label.tolist()))}")
    if "pred_label" in sample:
        best = sample.pred_label.tolist()[0]
        sure = f" {sample.pred_score[best]:.0%}" if "pred_score" in sample else ""
        parts.append(f"prediction: {said(best)}{sure}")
    return ", ".join(parts)
