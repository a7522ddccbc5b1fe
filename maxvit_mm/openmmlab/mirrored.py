"""A test pipeline made to show an image and its mirror image, for test-time augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

DETECTION = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")  # PackDetInputs' own meta_keys


def mirrored(pipeline: Sequence[Any], meta_keys: Sequence[str] | None = None) -> list[Any]:
    """A test pipeline whose last step packs the image and its mirror image.

    Args:
        meta_keys: what the last step keeps of an image where it does not say, if the flip is not in it.
    """
    steps = deepcopy(list(pipeline))
    pack = steps.pop()
    kept = pack.get("meta_keys", meta_keys)
    if kept is not None:
        pack["meta_keys"] = tuple(dict.fromkeys((*kept, "flip", "flip_direction")))
    # The first view's truth is what the pictures show, so it is the image as it lies.
    flips = [dict(type="RandomFlip", prob=0.0), dict(type="RandomFlip", prob=1.0)]
    return [*steps, dict(type="TestTimeAug", transforms=[flips, [pack]])]
