"""What keeps the twins from a call that they are meant for, in words; None if nothing does."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...network.attention import FFN, FFN_EXPANSION
from ...network.mbconv import MBConv
from ...network.same_conv import DepthwiseConv2d
from ...network.touched import WEIGHTS
from ...network.trunk import MaxViTBlock, Stem
from ...network.twins import Layer
from ..precision import precision_of
from .form import first_of, other_block, other_depthwise, other_ffn, other_narrow, other_stem
from .onednn import ONEDNN, is_in_onednn

# Bytes of the widest map on the way. Below it, to keep less takes longer and saves little: docs/speed.md has
# the numbers and the command.
SMALL = 2**20


def small(x: Tensor, widest: float = 1) -> str | None:
    """Whether keeping less takes longer, of a map `x` where the widest has so many times its numbers."""
    if x.device.type == "cuda" or x.nbytes * widest >= SMALL:
        return None
    return f"maps of less than {SMALL >> 10} KiB train faster as it is written"


def small_stem(layer: Stem, images: Tensor) -> str | None:
    return small(images, layer.conv1.out_channels / (4 * layer.conv1.in_channels))


def small_map(layer: Layer, x: Tensor, *_: Any) -> str | None:
    return small(x)


def small_ffn(layer: FFN, x: Tensor) -> str | None:
    return small(x, FFN_EXPANSION)


def nothing(*_: Any) -> None:
    return None


def stem(layer: Stem, images: Tensor) -> str | None:
    return of_inference(images) or unfoldable(layer, layer.norm) or other_stem(layer)


def block(layer: MaxViTBlock, x: Tensor, size: tuple[int, int]) -> str | None:
    if precision_of(x) != x.dtype:
        return f"the map is in {x.dtype} where autocast has {precision_of(x)}"
    return of_inference(x) or layer.answer(of_block)


def of_inference(x: Tensor) -> str | None:
    if not ONEDNN:
        return "this PyTorch has no oneDNN"
    if not is_in_onednn(precision_of(x)):
        return f"oneDNN does not compute in {precision_of(x)} on this processor"
    return None


def of_block(layer: MaxViTBlock) -> str | None:
    reason = other_block(layer)
    if reason is not None:
        return reason
    mbconv = layer.mbconv
    for half in (mbconv, layer.block_attention, layer.grid_attention):
        if half.drop_path.training and half.drop_path.rate:
            return "branches are dropped"
    return first_of(unfoldable(mbconv, norm) for norm in (mbconv.pre_norm, mbconv.norm1, mbconv.norm2))


def lean_stem(layer: Stem, images: Tensor) -> str | None:
    return not_lean(layer.norm) or other_stem(layer)


def narrow(layer: MBConv, x: Tensor) -> str | None:
    return of_lean_narrow(layer)


def of_lean_narrow(layer: MBConv) -> str | None:
    return other_narrow(layer) or first_of(map(not_lean, (layer.norm1, layer.norm2)))


def depthwise(layer: DepthwiseConv2d, x: Tensor) -> str | None:
    return layer.answer(of_depthwise)


def of_depthwise(layer: DepthwiseConv2d) -> str | None:
    """Of the layer itself, whose hooks run around its method, and whose weights may be computed."""
    return other_weights(layer) or other_depthwise(layer)


def other_weights(layer: Any) -> str | None:
    return (
        None
        if WEIGHTS.issuperset(map(type, (layer.weight, layer.bias)))
        else "its weights are of another kind"
    )


def ffn(layer: FFN, x: Tensor) -> str | None:
    return other_ffn(layer)


def unfoldable(layer: Layer, norm: nn.Module) -> str | None:
    """What keeps a norm of a layer from being folded into a convolution."""
    if layer.deployed:
        return None if isinstance(norm, nn.Identity) else "a norm has been put in since it was deployed"
    return incomplete(norm) or ("a norm takes the statistics of this batch" if norm.training else None)


def not_lean(norm: nn.Module) -> str | None:
    """What keeps a norm from being computed twice."""
    if isinstance(norm, nn.Identity):
        return "its norms have been folded"
    reason = incomplete(norm)
    if reason is None and norm.momentum is None:
        return "a norm without momentum averages over all batches"
    return reason


def incomplete(norm: Any) -> str | None:
    if not isinstance(norm, _BatchNorm):
        return f"a norm is of class {type(norm).__name__}"
    if not norm.track_running_stats or norm.running_mean is None:
        return "a norm keeps no statistics"
    return None if norm.affine else "a norm has no weight"
