"""Images from disk as the official evaluation of classifiers prepares them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..openmmlab.classifier import MaxViTClassifier
from ..weights import CheckpointError

CROP_MARGIN = 32  # pixels that the official evaluation leaves around a crop of 224
CROPPED_SIZE = 224  # weights for larger images were trained and evaluated on whole ones
PREPROCESSING = f"""\
Preprocessing is the official one: for weights of {CROPPED_SIZE} pixels the central square of
{CROPPED_SIZE} / {CROPPED_SIZE + CROP_MARGIN} of the shorter side is cut out and resized (of all of it for
torchvision's weights); for 384 and 512 the whole image is squashed into a square. All bicubic; then
normalised by the mean and deviation that the checkpoint states.
"""


class ImageError(ValueError):
    """An image or a folder of images that cannot be used; the message says which and why."""


def preprocess(image: np.ndarray, size: int, trained_size: int, margin: int = CROP_MARGIN) -> np.ndarray:
    """[height, width, 3] in any size -> [size, size, 3], cropped or squashed as `PREPROCESSING` says."""
    if trained_size <= CROPPED_SIZE:
        height, width = image.shape[:2]
        side = int(min(height, width) * trained_size / (trained_size + margin))
        top, left = (height - side + 1) // 2, (width - side + 1) // 2
        image = image[top : top + side, left : left + side]
    return mmcv.imresize(image, (size, size), interpolation="bicubic")


class Images(Dataset):
    """Images from disk, preprocessed and normalised: [3, size, size] each.

    Args:
        classifier: whose checkpoint says what size and normalisation it was trained with.
        size: pixels along a side, where it is to be another.

    Raises:
        CheckpointError: where the checkpoint does not say.
        ImageError: of an item, for a file that is not there or is no image.
    """

    def __init__(self, paths: Sequence[Path], classifier: MaxViTClassifier, size: int | None = None):
        about = classifier.about
        if about["image_size"] is None or about["mean"] is None:
            raise CheckpointError(
                "the checkpoint does not say on what size of images and with what normalisation it was "
                "trained: convert it again with --image-size and --normalization"
            )
        self.paths = list(paths)
        self.trained_size = about["image_size"]
        self.size = size or self.trained_size
        self.margin = 0 if about["convention"] == "torchvision" else CROP_MARGIN
        self.mean, self.std = (np.array(about[key], np.float32) for key in ("mean", "std"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        # cv2 gives None for what is no image, and mmcv a traceback for what is no file.
        image = cv2.imread(str(path)) if path.is_file() else None
        if image is None:
            raise ImageError(f"{path} is {'no image that can be read' if path.exists() else 'not there'}")
        image = preprocess(image[..., ::-1], self.size, self.trained_size, self.margin)
        return torch.from_numpy((image - self.mean) / self.std).permute(2, 0, 1)
