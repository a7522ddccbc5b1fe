"""MaxViT itself, as the paper has it, in plain PyTorch and einops: nothing of OpenMMLab in here.

To be read in this order:

    variants          one row a size, and where implementations differ
    partition         map <-> groups, block and grid, any size
    relative_bias     offset table <-> bias; resizing
    stochastic_depth  branches left out while training
    attention         attention inside a partition, and the FFN
    same_conv         3x3 convolutions with TensorFlow's padding
    mbconv            MBConv and squeeze-excitation
    checkpointing     activations computed twice instead of kept
    trunk             stem -> stages -> four maps: the paper's Figure 2
    head              the classification head
    deploy            norms folded into convolutions, for inference
    touched, twins    how a faster implementation of a method comes to run instead: see `maxvit_mm.fast`
"""

from .deploy import deploy
from .head import Head
from .trunk import Trunk
from .twins import implementations, set_implementation
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
    "implementations",
    "set_implementation",
]
