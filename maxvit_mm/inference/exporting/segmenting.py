"""A segmenter's test as one graph of tensors: pixels in, the class of each pixel out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads import FCNHead, FPNHead, PSPHead, UPerHead
from mmseg.models.utils import Upsample, resize
from torch import Tensor, nn

from ...weights import CheckpointError
from .pixels import Prepared, dtype_of, places_inside, why_not_pixels

HEADS = (FCNHead, FPNHead, PSPHead, UPerHead)
SUPPORTED = ", ".join(kind.__name__ for kind in HEADS)
NOBODY = 255  # the label of what is beside a smaller image of a batch


class SegmenterGraph(nn.Module):
    """A segmenter that sees images whole, from pixels to the class of each.

    Raises:
        CheckpointError: names what of the segmenter cannot be exported.
    """

    inputs, outputs = ("images", "sizes"), ("labels", "logits")

    def __init__(self, model: Any):
        super().__init__()
        if reason := why_not(model):
            raise CheckpointError(
                f"{reason} cannot be exported; an EncoderDecoder with one of {SUPPORTED} can, of "
                "MMSegmentation's own parts"
            )
        self.prepared, self.model = Prepared(model.data_preprocessor), model

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """images: uint8, [b, 3, height, width], BGR. sizes: [b, 2], each image's own height and width.

        Returns:
            labels [b, height, width], 255 beside a smaller image; logits [b, classes, height, width].
        """
        x = self.prepared(images, sizes).to(dtype_of(self.model.backbone))
        with by_symbols():
            logits = self.model.decode_head(self.model.extract_feat(x)).float()
        align = self.model.align_corners
        logits = F.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=align)
        logits = logits[:, :, : images.shape[2], : images.shape[3]]
        labels = torch.where(places_inside(images, sizes), logits.argmax(1), NOBODY)
        return labels, logits


@contextmanager
def by_symbols() -> Iterator[None]:
    """Within it, heads resize and average maps whose sizes are no numbers yet, as exporters have them."""
    warns = resize.__defaults__
    before = [kind.forward for kind in BY_SYMBOLS]
    resize.__defaults__ = (*warns[:-1], False)  # it would ask for numbers to warn of them
    for kind, forward in BY_SYMBOLS.items():
        kind.forward = forward
    try:
        yield
    finally:
        resize.__defaults__ = warns
        for kind, forward in zip(BY_SYMBOLS, before, strict=True):
            kind.forward = forward


def upsampled(self: Any, x: Tensor) -> Tensor:
    size = self.size or [side * int(self.scale_factor) for side in x.shape[-2:]]
    return F.interpolate(x, size, mode=self.mode, align_corners=self.align_corners)


def averaged(self: Any, x: Tensor) -> Tensor:
    """What `AdaptiveAvgPool2d` computes, by a product for each axis."""
    parts = (self.output_size,) * 2 if isinstance(self.output_size, int) else self.output_size
    down, across = (shares(side, part, x) for side, part in zip(x.shape[-2:], parts, strict=True))
    return down @ x @ across.T


def shares(size: int, parts: int, like: Tensor) -> Tensor:
    """How much each of so many rows counts in the averages of an axis's parts: [parts, size]."""
    row, part = (torch.arange(each, device=like.device) for each in (size, parts))
    begin, end = part * size // parts, ((part + 1) * size + parts - 1) // parts
    inside = (row >= begin[:, None]) & (row < end[:, None])
    return inside.to(like.dtype) / inside.sum(1, keepdim=True).to(like.dtype)


BY_SYMBOLS: dict[Any, Any] = {Upsample: upsampled, nn.AdaptiveAvgPool2d: averaged}


def why_not(model: Any) -> str | None:
    """What of a segmenter cannot be exported, by name; None if all can."""
    if type(model) is not EncoderDecoder:
        return type(model).__name__
    if reason := why_not_pixels(model):
        return reason
    if type(model.decode_head) not in HEADS:
        return type(model.decode_head).__name__
    if model.out_channels == 1:
        return "a head with one output for two classes (out_channels=1)"
    mode = model.test_cfg.get("mode", "whole")
    if mode != "whole":
        seen_whole = "--cfg-options model.test_cfg.mode=whole sees the image at once"
        return f"a test by a sliding window (test_cfg.mode={mode!r}; {seen_whole})"
    for part in model.decode_head.modules():
        scale = part.scale_factor if type(part) is Upsample else None
        if isinstance(scale, tuple) or (scale and scale != int(scale)):
            return f"an Upsample by {scale}"
    return None


def of_pytorch(model: BaseModel, data: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Labels and probabilities, [b, height, width] and with an axis of classes, of images as they are."""
    for image, sample in zip(data["inputs"], data["data_samples"], strict=True):
        sample.set_metainfo(dict(ori_shape=tuple(image.shape[1:])))
    samples = model.test_step(data)
    labels = torch.cat([sample.pred_sem_seg.data for sample in samples])
    return labels, torch.stack([sample.seg_logits.data for sample in samples]).softmax(1)


def of_onnx(labels: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """The same of a file's outputs."""
    return labels, logits.softmax(1)
