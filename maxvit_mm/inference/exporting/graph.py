"""A detector's test as one graph of tensors: what is exported.

MMDetection's own test goes through Python: a loop over images, branches on how much was found. Here the same
is said in tensors, by the detector's own layers, anchors, coders and `test_cfg`.
"""

from __future__ import annotations

from typing import Any

from mmcv.ops import RoIAlign
from mmdet.models import (
    CascadeRCNN,
    CascadeRoIHead,
    ConvFCBBoxHead,
    FasterRCNN,
    FCNMaskHead,
    MaskRCNN,
    RetinaHead,
    RetinaNet,
    RPNHead,
    Shared2FCBBoxHead,
    Shared4Conv1FCBBoxHead,
    SingleRoIExtractor,
    StandardRoIHead,
)
from mmdet.models.task_modules import DeltaXYWHBBoxCoder
from torch import Tensor, nn

from ...weights import CheckpointError
from .dense import dense_boxes
from .pixels import Prepared, dtype_of, why_not_pixels
from .regions import region_boxes, region_masks, stages_of

DETECTORS = (FasterRCNN, MaskRCNN, CascadeRCNN, RetinaNet)
BOX_HEADS = (Shared2FCBBoxHead, Shared4Conv1FCBBoxHead, ConvFCBBoxHead)
CUSTOM = ("custom_cls_channels", "custom_activation")  # of losses that are no sigmoid and no softmax
OURS = __name__.partition(".")[0] + "."
SUPPORTED = ", ".join(kind.__name__ for kind in DETECTORS)


class DetectorGraph(nn.Module):
    """A detector, from pixels to boxes, scores, labels, the number of each one's image, and masks.

    Raises:
        CheckpointError: names what of the detector cannot be exported.
    """

    inputs = ("images", "sizes")

    def __init__(self, model: Any):
        super().__init__()
        if reason := why_not(model):
            raise CheckpointError(f"{reason} cannot be exported; {SUPPORTED} can, of MMDetection's own parts")
        self.prepared, self.model = Prepared(model.data_preprocessor), model
        self.has_masks = bool(getattr(model, "roi_head", None)) and model.roi_head.with_mask
        self.outputs = ("boxes", "scores", "labels", "image", *(["masks"] if self.has_masks else []))

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """images: uint8, [b, 3, height, width], BGR. sizes: [b, 2], each image's own height and width."""
        model = self.model
        x = self.prepared(images, sizes).to(dtype_of(model.backbone))
        maps = model.extract_feat(x)
        if isinstance(model, RetinaNet):
            return tuple(dense_boxes(model.bbox_head, maps, sizes, model.test_cfg, apart="label"))
        head = model.rpn_head
        proposals = dense_boxes(head, maps, sizes, head.test_cfg, apart="level")
        found = region_boxes(model.roi_head, maps, proposals, sizes)
        masks = [region_masks(model.roi_head, maps, found, sizes)] if self.has_masks else []
        return (*found, *masks)


def why_not(model: Any) -> str | None:
    """What of a detector cannot be exported, by name; None if all can."""
    if type(model) not in DETECTORS:
        inside = (type(module).__name__ for module in model.modules())
        attention = next((name for name in inside if "DeformableAttention" in name), None)
        return type(model).__name__ + (f", with its {attention}," if attention else "")
    if reason := why_not_pixels(model):
        return reason
    if isinstance(model, RetinaNet):
        parts: list[tuple[Any, tuple[type, ...]]] = [(model.bbox_head, (RetinaHead,))]
        tests = [model.test_cfg]
    else:
        roi_head = model.roi_head
        parts = [(model.rpn_head, (RPNHead,)), (roi_head, (StandardRoIHead, CascadeRoIHead))]
        if type(roi_head) in (StandardRoIHead, CascadeRoIHead):
            parts += of_stages(roi_head.bbox_head, BOX_HEADS)
            parts += of_stages(roi_head.bbox_roi_extractor, (SingleRoIExtractor,))
            if roi_head.with_mask:
                parts += of_stages(roi_head.mask_head, (FCNMaskHead,))
                parts += of_stages(roi_head.mask_roi_extractor, (SingleRoIExtractor,))
            if roi_head.with_shared_head:
                return type(roi_head.shared_head).__name__
        tests = [model.rpn_head.test_cfg, roi_head.test_cfg]
    for part, known in parts:
        if not is_one_of(part, known):
            return type(part).__name__
        coder = getattr(part, "bbox_coder", None)
        if coder is not None and (type(coder) is not DeltaXYWHBBoxCoder or coder.add_ctr_clamp):
            return type(coder).__name__
        loss = getattr(part, "loss_cls", None)
        if any(getattr(each, name, False) for each in (part, loss) for name in CUSTOM):
            return f"the activation of {type(loss).__name__}"
        for layer in getattr(part, "roi_layers", ()):
            if not isinstance(layer, RoIAlign) or layer.pool_mode != "avg":
                return f"{type(layer).__name__} with pool_mode={getattr(layer, 'pool_mode', None)!r}"
    return next(filter(None, map(why_not_test, tests)), None)


def why_not_test(cfg: Any) -> str | None:
    """What of a head's `test_cfg` cannot be exported."""
    others = set(cfg.nms) - {"type", "iou_threshold", "class_agnostic", "split_thr"}
    if cfg.nms.get("type", "nms") != "nms" or others:
        return f"the NMS {dict(cfg.nms)}"
    if cfg.max_per_img < 1:
        return "a head without max_per_img"
    if cfg.get("mask_thr_binary", 0.5) < 0:
        return "soft masks (mask_thr_binary < 0)"
    return None


def is_one_of(part: Any, known: tuple[type, ...]) -> bool:
    """Whether a part is one of those, or ours, which is one in another precision."""
    return type(part) in known or (isinstance(part, known) and type(part).__module__.startswith(OURS))


def of_stages(part: Any, known: tuple[type, ...]) -> list[tuple[Any, tuple[type, ...]]]:
    return [(each, known) for each in stages_of(part)]
