"""What keeps the twins from running, in words; None if nothing does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...network.attention import FFN, PartitionAttention
from ...network.mbconv import MBConv
from ...network.trunk import MaxViTBlock, Stem
from ...network.twins import Layer
from ..precision import precision_of
from .onednn import ONEDNN, is_in_onednn


def stem(layer: Stem, images: Tensor) -> str | None:
    if torch.compiler.is_compiling():
        return "torch.compile makes its own"
    return unfit_for_inference(images) or unfoldable(layer, layer.norm)


def block(layer: MaxViTBlock, x: Tensor, size: tuple[int, int]) -> str | None:
    if precision_of(x) != x.dtype:
        return f"the map is in {x.dtype} where autocast has {precision_of(x)}"
    norms = (layer.mbconv.pre_norm, layer.mbconv.norm1, layer.mbconv.norm2)
    reason = unfit_for_inference(x) or first_of(unfoldable(layer, norm) for norm in norms)
    if reason is not None:
        return reason
    for half in (layer.mbconv, layer.block_attention, layer.grid_attention):
        if half.drop_path.training and half.drop_path.rate:
            return "branches are dropped"
    if len({m.approximate for m in layer.modules() if isinstance(m, nn.GELU)}) > 1:
        return "its GELUs differ"
    if len({m.eps for m in layer.modules() if isinstance(m, nn.LayerNorm)}) > 1:
        return "its LayerNorms differ in epsilon"
    mbconv = layer.mbconv
    convolutions = (mbconv.se.reduce, mbconv.se.expand, mbconv.shrink, mbconv.shortcut)
    linear = (module for module in layer.modules() if isinstance(module, nn.Linear))
    return first_of(without_bias(each) for each in (*convolutions, *linear))


def nothing(*_: Any) -> None:
    return None


def lean_stem(layer: Stem, images: Tensor) -> str | None:
    return compiled() or not_lean(layer.norm)


def narrow(layer: MBConv, x: Tensor) -> str | None:
    convolutions = (layer.se.reduce, layer.se.expand, layer.shrink)
    reasons = (*map(not_lean, (layer.norm1, layer.norm2)), *map(without_bias, convolutions))
    return compiled() or first_of(reasons)


def attend(layer: PartitionAttention, qkv: Tensor, size: tuple[int, int]) -> str | None:
    return compiled()


def ffn(layer: FFN, x: Tensor) -> str | None:
    return compiled() or first_of(map(without_bias, layer.children()))


def unfit_for_inference(x: Tensor) -> str | None:
    if not ONEDNN:
        return "this PyTorch has no oneDNN"
    if not is_in_onednn(precision_of(x)):
        return f"oneDNN does not compute in {precision_of(x)} on this processor"
    return None


def compiled() -> str | None:
    """What keeps twins with a backward pass to come from running under a compiler."""
    if torch.compiler.is_compiling():
        return "torch.compile decides itself what is kept for the backward pass"
    return None


def unfoldable(layer: Layer, norm: nn.Module) -> str | None:
    """What keeps a norm of a layer from being folded into a convolution."""
    if layer.deployed:
        return None  # it has been
    if norm.training:
        return "a norm takes the statistics of this batch"
    return incomplete(norm)


def not_lean(norm: nn.Module) -> str | None:
    """What keeps a norm from being computed twice."""
    if isinstance(norm, nn.Identity):
        return "its norms have been folded"
    if norm.momentum is None:
        return "a norm without momentum averages over all batches"
    return incomplete(norm)


def incomplete(norm: Any) -> str | None:
    if not isinstance(norm, _BatchNorm):
        return f"a norm is a {type(norm).__name__}"
    if not norm.track_running_stats or norm.running_mean is None:
        return "a norm keeps no statistics"
    return None if norm.affine else "a norm has no weight"


def without_bias(layer: nn.Module) -> str | None:
    has_one = not isinstance(layer, nn.Linear | nn.Conv2d) or layer.bias is not None
    return None if has_one else f"a {type(layer).__name__} has no bias"


def first_of(reasons: Iterable[str | None]) -> str | None:
    return next(filter(None, reasons), None)
