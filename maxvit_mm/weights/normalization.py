"""What the pixels were normalised by when released weights were trained."""

from __future__ import annotations

import re
from pathlib import Path

from ..network import VARIANTS
from .architecture import Architecture

# Mean and standard deviation of R, G and B, in units of 0 to 255.
NORMALIZATIONS = {
    "imagenet": ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
    "inception": ([127.5, 127.5, 127.5], [127.5, 127.5, 127.5]),
}
IMAGE_SIZES = {7: 224, 12: 384, 16: 512}  # by the partition size: a 32nd
IMAGENET_1K, IMAGENET_21K = 1000, 21843  # classes
ONLY_FROM_21K = ("xlarge",)  # released without a training on ImageNet-1k alone
NEVER_FROM_21K = ("tiny", "small")


def image_size_of(architecture: Architecture, origin: str) -> int | None:
    """The side of the images it was trained on, in pixels, as the tensors tell; None where they do not.

    timm's tables have the partition's own size, and torchvision released one size.
    """
    if origin == "torchvision" or architecture.classes == IMAGENET_21K:
        return 224
    if origin == "timm":
        return IMAGE_SIZES.get(architecture.table_partition_size)
    return None


def image_size_in(path: Path) -> int | None:
    """The size in the name of a TensorFlow checkpoint or its folders, as in `maxvittiny/i1k/384`.

    Its tables are for partition 7 whatever the image, so that nothing else tells.
    """
    sizes = [re.findall(r"(?<!\d)(224|384|512)(?!\d)", part) for part in path.absolute().parts[:-4:-1]]
    return next((int(found[-1]) for found in sizes if found), None)


def normalization_of(architecture: Architecture, image_size: int | None) -> str | None:
    """The key in `NORMALIZATIONS`; None where nothing tells.

    ImageNet's own for weights of ImageNet-1k at 224; 127.5 for 384 and 512, and for all that saw
    ImageNet-21k.
    """
    name, classes = architecture.name, architecture.classes
    released = name in VARIANTS and name != "pico" and classes in (None, IMAGENET_1K, IMAGENET_21K)
    if not released or image_size is None:
        return None
    if image_size > 224 or classes == IMAGENET_21K or name in ONLY_FROM_21K:
        return "inception"
    return "imagenet" if classes == IMAGENET_1K or name in NEVER_FROM_21K else None
