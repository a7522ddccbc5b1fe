"""Test-time augmentation: an image and its mirror image, for detectors with masks as well."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.test_time_augs import DetTTAModel
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.structures import InstanceData


@MODELS.register_module()
class InstanceTTAModel(DetTTAModel):
    """`DetTTAModel`, whose merged boxes keep their masks: MMDetection's own refuses a mask head.

    Views are merged by NMS over all their boxes; a box that stays brings the mask its own view gave it,
    flipped back where that view was flipped.
    """

    def _merge_single_sample(self, data_samples: list[DetDataSample]) -> DetDataSample:
        views = [sample.pred_instances for sample in data_samples]
        metas = [sample.metainfo for sample in data_samples]
        boxes, scores = self.merge_aug_bboxes(
            [view.bboxes for view in views], [view.scores for view in views], metas
        )
        merged = InstanceData(bboxes=boxes, scores=scores, labels=torch.cat([view.labels for view in views]))
        if "masks" in views[0]:
            merged.masks = torch.cat(
                [flip_back(view.masks, meta) for view, meta in zip(views, metas, strict=True)]
            )
        if len(boxes):
            kept, order = batched_nms(boxes, scores, merged.labels, self.tta_cfg["nms"])
            merged = merged[order]
            merged.scores = kept[:, -1]  # a soft NMS has changed them
            merged = merged[: self.tta_cfg["max_per_img"]]
        result = data_samples[0]
        result.pred_instances = merged
        return result


def flip_back(masks: torch.Tensor, meta: dict) -> torch.Tensor:
    """masks: [n, height, width] of a view, in the image's own size; same out, as the image lies."""
    if not meta.get("flip"):
        return masks
    axes = {"horizontal": [2], "vertical": [1], "diagonal": [1, 2]}[meta["flip_direction"]]
    return masks.flip(axes)


def tta_model_of(cfg: Config) -> dict[str, Any]:
    """The model that merges views: the config's own, or one that merges by NMS."""
    nms = dict(type="nms", iou_threshold=0.5)
    return cfg.get("tta_model") or dict(type="InstanceTTAModel", tta_cfg=dict(nms=nms, max_per_img=100))
