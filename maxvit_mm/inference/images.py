"""Images from disk as the official evaluation of classifiers prepares them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..openmmlab.classifier import MaxViTClassifier
from ..openmmlab.official_crop import CROP_MARGIN, preprocess
from ..weights import CheckpointError


class ImageError(ValueError):
    """An image or a folder of images that cannot be used; the message says which and why."""


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
