"""The sizes of MaxViT, and the conventions of its implementations: one row each."""

from __future__ import annotations

from typing import NamedTuple

HEAD_WIDTH = 32  # channels of one attention head, in every size
STRIDES = (4, 8, 16, 32)  # of the four stages, against the image


class Variant(NamedTuple):
    """What distinguishes one MaxViT from another."""

    stem_width: int
    widths: tuple[int, int, int, int]  # channels of each stage
    depths: tuple[int, int, int, int]  # blocks in each stage


# Table 1 of the paper (arXiv 2204.01697) and the released code. 'pico' is ours, for demos and tests.
VARIANTS = {
    "pico": Variant(32, (32, 64, 128, 256), (1, 1, 2, 1)),
    "tiny": Variant(64, (64, 128, 256, 512), (2, 2, 5, 2)),
    "small": Variant(64, (96, 192, 384, 768), (2, 2, 5, 2)),
    "base": Variant(64, (96, 192, 384, 768), (2, 6, 14, 2)),
    "large": Variant(128, (128, 256, 512, 1024), (2, 6, 14, 2)),
    "xlarge": Variant(192, (192, 384, 768, 1536), (2, 6, 14, 2)),
}


class Convention(NamedTuple):
    """Where implementations compute different functions. Weights of one are wrong in the other."""

    gelu: str = "tanh"  # its approximation in `torch.nn.GELU`; 'none' is the exact one
    padding: str = "same"  # of a stride-2 convolution: TensorFlow's 'same', or 'symmetric'
    shortcut_pool: int = 2  # kernel of a stride-2 shortcut's average; 3 counts its padding as zeros
    shortcut_conv: str = "widths differ"  # where a shortcut has a 1x1 convolution; or 'stride 2'


OFFICIAL = Convention()
CONVENTIONS = {
    "official": OFFICIAL,
    "torchvision": Convention("none", "symmetric", 3, "stride 2"),
}


def find_convention(name: str) -> Convention:
    """Return the `Convention` of that name.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in CONVENTIONS:
        raise ValueError(f"MaxViT has no convention {name!r}: use one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def find_variant(arch: str | dict) -> Variant:
    """Return the `Variant` that `arch` names or spells out.

    Args:
        arch: a key of `VARIANTS`, or a dict with `stem_width`, `widths` (four) and `depths` (four).

    Raises:
        ValueError: for an unknown name, a missing or surplus key, a width that is not a multiple of
            `HEAD_WIDTH`, or a stage without a block.
    """
    if isinstance(arch, str):
        if arch not in VARIANTS:
            raise ValueError(f"MaxViT has no arch {arch!r}: use one of {', '.join(VARIANTS)}, or a dict")
        return VARIANTS[arch]

    if set(arch) != set(Variant._fields):
        raise ValueError(f"an arch dict has the keys {', '.join(Variant._fields)}; got {sorted(arch)}")
    stem_width, widths, depths = arch["stem_width"], tuple(arch["widths"]), tuple(arch["depths"])
    if len(widths) != len(STRIDES) or len(depths) != len(STRIDES):
        raise ValueError(f"MaxViT has {len(STRIDES)} stages; got widths {widths} and depths {depths}")
    if any(width <= 0 or width % HEAD_WIDTH for width in widths):
        raise ValueError(f"stage widths are multiples of {HEAD_WIDTH}, a head's width; got {widths}")
    if stem_width < 1 or min(depths) < 1:
        raise ValueError(f"a stem width and depths are at least 1; got {stem_width} and {depths}")
    return Variant(stem_width, widths, depths)
