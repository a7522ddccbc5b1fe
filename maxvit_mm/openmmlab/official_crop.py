"""Images as the official evaluation of classifiers prepares them, for our commands and for MMPretrain's."""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

CROP_MARGIN = 32  # pixels that the official evaluation leaves around a crop of 224
CROPPED_SIZE = 224  # weights for larger images were trained and evaluated on whole ones
PREPROCESSING = f"""\
Preprocessing is the official one: for weights of {CROPPED_SIZE} pixels the central square of
{CROPPED_SIZE} / {CROPPED_SIZE + CROP_MARGIN} of the shorter side is cut out and resized (of all of it for
torchvision's weights); for 384 and 512 the whole image is squashed into a square. All bicubic; then
normalised by the mean and deviation that the checkpoint states.
"""


def preprocess(image: np.ndarray, size: int, trained_size: int, margin: int = CROP_MARGIN) -> np.ndarray:
    """[height, width, 3] in any size -> [size, size, 3], cropped or squashed as `PREPROCESSING` says."""
    return mmcv.imresize(cropped(image, trained_size, margin), (size, size), interpolation="bicubic")


def cropped(image: np.ndarray, trained_size: int, margin: int = CROP_MARGIN) -> np.ndarray:
    """The part of an image that is then resized: of weights for small ones the central square, else all."""
    if trained_size <= CROPPED_SIZE:
        height, width = image.shape[:2]
        side = int(min(height, width) * trained_size / (trained_size + margin))
        top, left = (height - side + 1) // 2, (width - side + 1) // 2
        image = image[top : top + side, left : left + side]
    return image


@TRANSFORMS.register_module()
class MaxViTCrop(BaseTransform):
    """`preprocess` as a step of a pipeline: 'img' becomes a square, 'img_shape' its size, and 'scale_factor'
    pixels of it for one of the image, across and down.

    Args:
        size: pixels along a side, in the network.
        trained_size: what the weights were trained on: up to 224 pixels the centre is cropped, beyond them
            the whole image is squashed. `size`, if it is not given.
        margin: pixels around a crop of `trained_size`.
    """

    def __init__(self, size: int, trained_size: int | None = None, margin: int = CROP_MARGIN):
        self.size = size
        self.trained_size = trained_size or size
        self.margin = margin

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        height, width = cropped(results["img"], self.trained_size, self.margin).shape[:2]
        results["img"] = preprocess(results["img"], self.size, self.trained_size, self.margin)
        results["img_shape"] = results["img"].shape[:2]
        results["scale_factor"] = (self.size / width, self.size / height)
        return results

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, trained_size={self.trained_size}, margin={self.margin})"
        )
