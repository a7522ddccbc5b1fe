"""The implementations whose checkpoints we read, and how to tell them apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from . import own, tensorflow, timm, torchvision
from .translation import Translated


class Origin(NamedTuple):
    """An implementation whose checkpoints we read."""

    name: str
    title: str
    sign: str  # matches one of its names at least, and none of another's
    translate: Callable[[Mapping[str, Tensor]], Translated]
    convention: str = "official"


ORIGINS = [
    Origin("tensorflow", tensorflow.TITLE, tensorflow.SIGN, tensorflow.TRANSLATION.to_ours),
    Origin("timm", timm.TITLE, timm.SIGN, timm.TRANSLATION.to_ours),
    Origin(
        "torchvision",
        torchvision.TITLE,
        torchvision.SIGN,
        torchvision.TRANSLATION.to_ours,
        "torchvision",
    ),
    Origin("maxvit_mm", own.TITLE, own.SIGN, own.translate),
]


def recognise(names: Iterable[str]) -> Origin | None:
    """The origin of a checkpoint with tensors of these names; None for one that is not known."""
    names = list(names)
    for origin in ORIGINS:
        if any(re.fullmatch(origin.sign, name) for name in names):
            return origin
    return None
