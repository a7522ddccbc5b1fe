"""MaxViT itself, in torch and einops: nothing of OpenMMLab in here."""

from .deploy import deploy
from .head import Head
from .trunk import Trunk
from .variants import (
    CONVENTIONS,
    HEAD_WIDTH,
    OFFICIAL,
    STRIDES,
    VARIANTS,
    Convention,
    Variant,
    find_convention,
    find_variant,
)

__all__ = [
    "CONVENTIONS",
    "HEAD_WIDTH",
    "OFFICIAL",
    "STRIDES",
    "VARIANTS",
    "Convention",
    "Head",
    "Trunk",
    "Variant",
    "deploy",
    "find_convention",
    "find_variant",
]
