"""MaxViT itself, in torch and einops: nothing of OpenMMLab in here."""

from .trunk import Trunk
from .variants import STRIDES, VARIANTS, Variant, find_variant

__all__ = ["STRIDES", "VARIANTS", "Trunk", "Variant", "find_variant"]
