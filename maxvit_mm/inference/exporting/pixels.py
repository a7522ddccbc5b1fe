"""The first steps of every graph: pixels as they are decoded, and what a data preprocessor makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...weights import CheckpointError

INPUTS = {
    "images": "uint8 [batch, 3, height, width], BGR from 0 to 255 as OpenCV reads them; smaller images of a "
    "batch at the left and top",
    "sizes": "int64 [batch, 2], height and width of each image",
}


class Preparation(NamedTuple):
    """What a data preprocessor does in a test, beside normalising.

    Attributes:
        flips: whether channels are put in the other order.
        value: of the padding, on the right and below.
        divisor: of the padded height and width.
        least: height and width that smaller images are padded to.
    """

    flips: bool
    value: float
    divisor: int
    least: tuple[int, int] = (0, 0)


def of_mmdet(of: Any) -> Preparation:
    return Preparation(of._channel_conversion, of.pad_value, of.pad_size_divisor)


def of_mmseg(of: Any) -> Preparation:
    cfg = of.test_cfg or {}
    height, width = (cfg.get("size") or (0, 0))[-2:]
    return Preparation(of.channel_conversion, of.pad_val, cfg.get("size_divisor") or 1, (height, width))


def of_mmpretrain(of: Any) -> Preparation:
    return Preparation(of.to_rgb, of.pad_value, of.pad_size_divisor)


PREPROCESSORS: dict[tuple[str, str], Callable[[Any], Preparation]] = {
    ("mmdet", "DetDataPreprocessor"): of_mmdet,
    ("mmseg", "SegDataPreProcessor"): of_mmseg,
    ("mmpretrain", "ClsDataPreprocessor"): of_mmpretrain,
}


def named(part: Any) -> tuple[str, str]:
    """The library and the name of a part's type: libraries that a model does not need are not imported."""
    return type(part).__module__.partition(".")[0], type(part).__name__


class Prepared(nn.Module):
    """The data preprocessor: BGR pixels in, 0 to 255; normalised and padded images out."""

    def __init__(self, of: Any):
        super().__init__()
        self.of = of
        self.how = PREPROCESSORS[named(of)](of)

    def forward(self, images: Tensor, sizes: Tensor) -> Tensor:
        """images: uint8, [b, 3, height, width]. sizes: [b, 2], without the padding on the right and below."""
        of, how = self.of, self.how
        x = (images.flip(1) if how.flips else images).float()
        if of._enable_normalize:
            x = (x - of.mean) / of.std
        height, width = images.shape[2:]
        inside = places_inside(images, sizes)[:, None]
        x = torch.where(inside, x, float(how.value))
        if how.divisor > 1:
            x = F.pad(x, (0, -width % how.divisor, 0, -height % how.divisor), value=float(how.value))
        if any(how.least):
            below, beside = (
                torch.sym_max(least - side, 0) for least, side in zip(how.least, (height, width), strict=True)
            )
            x = F.pad(x, (0, beside, 0, below), value=float(how.value))
        return x


def places_inside(images: Tensor, sizes: Tensor) -> Tensor:
    """Which pixels of a batch are an image's own: [b, height, width]."""
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
    return (rows < sizes[:, :1])[:, :, None] & (columns < sizes[:, 1:])[:, None]


class MapsGraph(nn.Module):
    """A model's backbone, from pixels to its maps.

    Raises:
        CheckpointError: names what of the model cannot be exported.
    """

    inputs = ("images", "sizes")

    def __init__(self, model: Any):
        super().__init__()
        if reason := why_not_pixels(model):
            raise CheckpointError(f"{reason} cannot be exported")
        self.prepared, self.backbone = Prepared(model.data_preprocessor), model.backbone
        self.outputs = tuple(f"map{number + 1}" for number in model.backbone.out_indices)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        x = self.prepared(images, sizes).to(dtype_of(self.backbone))
        return tuple(each.float() for each in self.backbone(x))


def why_not_pixels(model: Any) -> str | None:
    """What of a model's first step cannot be exported, by name."""
    kind = named(model.data_preprocessor)
    return None if kind in PREPROCESSORS else kind[1]


def dtype_of(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype
