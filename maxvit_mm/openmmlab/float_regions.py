"""RoIAlign in float32, whatever the precision of the rest."""

from __future__ import annotations

from typing import Any

from mmengine.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module(name="Float32RoIExtractor")
def float32_roi_extractor(**arguments: Any) -> nn.Module:
    """MMDetection's `SingleRoIExtractor`, with its arguments, for training in mixed precision.

    That one gives boxes the type of the features, and in bf16 a coordinate above 512 pixels has steps of 4:
    a box of 30 pixels is another box. Compiled mmcv's RoIAlign has no bf16 at all.
    """
    # Here, because MMDetection's models take seconds to import, and a backbone needs none of them.
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    class Float32RoIExtractor(SingleRoIExtractor):
        def forward(self, feats: tuple[Tensor, ...], rois: Tensor, roi_scale_factor: Any = None) -> Tensor:
            # feats: maps [b, c, height, width]; rois: [n, 5], the image's index and x1, y1, x2, y2 in pixels
            crops = super().forward(tuple(map_.float() for map_ in feats), rois.float(), roi_scale_factor)
            return crops.to(feats[0].dtype)

    return Float32RoIExtractor(**arguments)
