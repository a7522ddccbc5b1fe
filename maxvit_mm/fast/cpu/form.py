"""Whether layers have the form that the paper gives them, by the place at which they stand.

A twin reads weights. It takes for granted how they are used, which another convolution in its place, or one
whose stride has been changed, would do otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from ...network.attention import FFN, AttentionAndFFN, PartitionAttention
from ...network.mbconv import MBConv, SqueezeExcitation
from ...network.partition import Block, Grid, Partition
from ...network.same_conv import DepthwiseConv2d, PointwiseConv2d, SameConv2d
from ...network.stochastic_depth import StochasticDepth
from ...network.trunk import MaxViTBlock, Stem

# Fields of layers as the paper has them, as they are asked for at each call of a layer.
Fields = tuple[tuple[str, Any], ...]
POOLS: tuple[Fields, ...] = (
    (
        *(("kernel_size", 2), ("stride", 2), ("padding", 0), ("ceil_mode", True)),
        *(("count_include_pad", False), ("divisor_override", None)),
    ),
    (
        *(("kernel_size", 3), ("stride", 2), ("padding", 1), ("ceil_mode", False)),
        *(("count_include_pad", True), ("divisor_override", None)),
    ),
)
POINTWISE = nn.Conv2d, PointwiseConv2d
AS_1X1: Fields = (("kernel_size", (1, 1)), ("stride", (1, 1)), ("padding", (0, 0)), ("groups", 1))
AS_3X3: Fields = (
    *(("kernel_size", (3, 3)), ("padding", (1, 1))),
    *(("dilation", (1, 1)), ("padding_mode", "zeros")),
)


def other_stem(layer: Stem) -> str | None:
    return first_of(
        [
            *(other_3x3("conv1", layer.conv1, (2, 2), groups=1), other("act", layer.act, nn.GELU)),
            *(other_3x3("conv2", layer.conv2, (1, 1), groups=1), without_bias("conv2", layer.conv2)),
        ]
    )


def other_narrow(layer: MBConv) -> str | None:
    """Of what `MBConv.narrow` calls, but for the norms."""
    inner: Any = layer._modules  # it is asked at each call: attributes of modules take longer
    se = inner["se"]
    return (
        other("act", inner["act"], nn.GELU)
        or other_depthwise(inner["depthwise"])
        or other("se", se, SqueezeExcitation)
        or other_1x1("se.reduce", se._modules["reduce"])
        or other_1x1("se.expand", se._modules["expand"])
        or other_1x1("shrink", inner["shrink"])
    )


def other_mbconv(layer: MBConv) -> str | None:
    """Of all, but for the norms."""
    inner: Any = layer._modules
    pool, shortcut = inner["pool"], inner["shortcut"]
    is_pool = type(pool) is nn.AvgPool2d and any(has(pool, fields) for fields in POOLS)
    strides = inner["depthwise"].stride == ((2, 2) if is_pool else (1, 1))
    if not strides or not (is_pool or type(pool) is nn.Identity):
        return "pool is not that of the stride"
    return (
        other_narrow(layer)
        or other_1x1("expand", inner["expand"], with_bias=layer.deployed)
        or (None if type(shortcut) is nn.Identity else other_1x1("shortcut", shortcut))
        or other("drop_path", inner["drop_path"], StochasticDepth)
    )


def other_half(layer: AttentionAndFFN, partition: Partition) -> str | None:
    inner: Any = layer._modules
    attention = inner["attention"]
    return (
        other("attention", attention, PartitionAttention)
        or other_linear("qkv", attention._modules["qkv"])
        or other_linear("out", attention._modules["out"])
        or other_layer_norm("norm1", inner["norm1"])
        or other_layer_norm("norm2", inner["norm2"])
        or other_ffn(inner["ffn"])
        or other("drop_path", inner["drop_path"], StochasticDepth)
        or (None if attention.partition is partition else "attention has another partition")
    )


def other_ffn(layer: FFN) -> str | None:
    if not isinstance(layer, FFN) or len(layer) != 3:
        return "an FFN is three layers"
    first, gelu, second = layer
    return other_linear("0", first) or other("1", gelu, nn.GELU) or other_linear("2", second)


def other_block(layer: MaxViTBlock) -> str | None:
    halves: dict[str, Partition] = {"block_attention": Block, "grid_attention": Grid}
    wrong = first_of(other(name, getattr(layer, name), AttentionAndFFN) for name in halves)
    reason = (
        wrong
        or other("mbconv", layer.mbconv, MBConv)
        or other_mbconv(layer.mbconv)
        or first_of(other_half(getattr(layer, name), partition) for name, partition in halves.items())
    )
    if reason is not None:
        return reason
    if len({layer.mbconv.act.approximate, *(gelu_of(layer, name) for name in halves)}) > 1:
        return "its GELUs differ"
    norms = (norm for name in halves for norm in (getattr(layer, name).norm1, getattr(layer, name).norm2))
    return None if len({norm.eps for norm in norms}) == 1 else "its LayerNorms differ in epsilon"


def gelu_of(layer: MaxViTBlock, name: str) -> str:
    return getattr(layer, name).ffn[1].approximate


def other(name: str, module: nn.Module, kind: type[nn.Module]) -> str | None:
    return None if type(module) is kind else f"{name} is of class {type(module).__name__}"


def other_1x1(name: str, module: Any, with_bias: bool = True) -> str | None:
    if type(module) not in POINTWISE or not has(module, AS_1X1):
        return f"{name} is no 1x1 convolution as the paper has it"
    if (module.bias is not None) != with_bias:
        return f"{name} has {'no' if with_bias else 'a'} bias"
    return None


def other_depthwise(layer: Any) -> str | None:
    return other_3x3("depthwise", layer, layer.stride, groups=layer.out_channels)


def other_3x3(name: str, module: Any, stride: tuple[int, ...], groups: int) -> str | None:
    kind = SameConv2d if groups == 1 else DepthwiseConv2d
    if (
        type(module) is not kind
        or not has(module, AS_3X3)
        or (module.stride, module.groups) != (stride, groups)
    ):
        return f"{name} is no 3x3 convolution as the paper has it"
    return None


def other_linear(name: str, module: nn.Module) -> str | None:
    return other(name, module, nn.Linear) or without_bias(name, module)


def other_layer_norm(name: str, module: Any) -> str | None:
    is_whole = type(module) is nn.LayerNorm and module.weight is not None and module.bias is not None
    return None if is_whole else f"{name} is no LayerNorm with weight and bias"


def without_bias(name: str, module: Any) -> str | None:
    return f"{name} has no bias" if module.bias is None else None


def has(module: nn.Module, fields: Fields) -> bool:
    own = module.__dict__
    for name, value in fields:  # noqa: SIM110  # at each call of a layer: a generator takes longer
        if own.get(name) != value:
            return False
    return True


def first_of(reasons: Iterable[str | None]) -> str | None:
    return next(filter(None, reasons), None)
