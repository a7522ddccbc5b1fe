"""What keeps the kernels in Triton from a call that they are meant for, in words; None if nothing does."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import torch
from torch import Tensor, nn

from ...network.attention import FFN, AttentionAndFFN, PartitionAttention
from ...network.mbconv import MBConv
from ...network.same_conv import PointwiseConv2d
from ...network.stochastic_depth import StochasticDepth
from ...network.touched import rewritten, touched
from ...network.trunk import MaxViTBlock
from ...network.twins import Layer
from ...network.variants import HEAD_WIDTH
from ..cpu.form import (
    first_of,
    other,
    other_1x1,
    other_block,
    other_ffn,
    other_layer_norm,
    other_linear,
    other_narrow,
)
from ..cpu.norm import group_of
from ..cpu.reasons import of_lean_narrow, other_weights, unfoldable
from ..precision import precision_of

HALVES = ("mbconv", MBConv), ("block_attention", AttentionAndFFN), ("grid_attention", AttentionAndFFN)
PRECISIONS = torch.float16, torch.bfloat16, torch.float32
STRIDES = (1, 1), (2, 2)
LEAST_TRITON = 3, 6  # that the kernels were compiled with; torch 2.11 brings it
LEAST_CAPABILITY = 8, 0  # of GPUs that compute in bfloat16


def attention(layer: PartitionAttention, x: Tensor, _: tuple[int, int]) -> str | None:
    return other_heads(layer, x.shape[3]) or by_kernels(layer, x, of_attention)


def of_attention(layer: PartitionAttention) -> str | None:
    inner = layer._modules
    return rewritten(layer) or other_linear("qkv", inner["qkv"]) or other_linear("out", inner["out"])  # type: ignore[arg-type]


def attend(layer: PartitionAttention, qkv: Tensor, _: tuple[int, int]) -> str | None:
    if qkv.dtype not in PRECISIONS:
        return f"its kernel does not compute in {qkv.dtype}"
    return other_heads(layer, qkv.shape[3] // 3) or layer.answer(
        no_kernels, qkv.device.type, qkv.device.index
    )


def other_heads(layer: PartitionAttention, width: int) -> str | None:
    return None if width == HEAD_WIDTH * layer.heads else f"its kernel is for heads of {HEAD_WIDTH} channels"


def pointwise(layer: PointwiseConv2d, x: Tensor) -> str | None:
    return layer.answer(of_pointwise) if x.ndim == 4 else "it is for a batch of maps"


def of_pointwise(layer: PointwiseConv2d) -> str | None:
    """Of the layer itself, whose hooks run around its method, and whose weights may be computed."""
    return other_weights(layer) or other_1x1("it", layer, with_bias=layer.bias is not None)


def narrow(layer: MBConv, x: Tensor) -> str | None:
    return by_kernels(layer, x, of_narrow)


def branch(layer: MBConv, x: Tensor) -> str | None:
    return by_kernels(layer, x, of_branch, torch.compiler.is_compiling())


def ffn(layer: FFN, x: Tensor) -> str | None:
    return by_kernels(layer, x, other_ffn)


def whole(layer: MaxViTBlock, x: Tensor, _: tuple[int, int]) -> str | None:
    return by_kernels(layer, x, of_whole, of_narrow)


def whole_training(layer: MaxViTBlock, x: Tensor, _: tuple[int, int]) -> str | None:
    return by_kernels(layer, x, of_whole, of_branch)


def of_whole(layer: MaxViTBlock, of_mbconv: Callable[[Any], str | None]) -> str | None:
    halves: Any = layer.block_attention, layer.grid_attention
    heads = (other_heads(half.attention, half.attention.out.in_features) for half in halves)
    return other_block(layer) or of_mbconv(layer.mbconv) or first_of(heads)


def block(layer: MaxViTBlock, x: Tensor, _: tuple[int, int]) -> str | None:
    return by_kernels(layer, x, of_block)


def of_block(layer: MaxViTBlock) -> str | None:
    """Of the layers between which it adds and normalises, whose methods it does not call, and their norms."""
    for name, kind in HALVES:
        half: Any = layer._modules[name]  # it is asked at each call: attributes of modules take longer
        inner = half._modules
        reason = other(name, half, kind) or other(f"{name}.drop_path", inner["drop_path"], StochasticDepth)
        if reason is None and (how := touched(half)):
            reason = f"{name} {how}"
        if reason is None and kind is AttentionAndFFN:
            reason = other_layer_norm("norm1", inner["norm1"]) or other_layer_norm("norm2", inner["norm2"])
        if reason is not None:
            return reason
    return None


def by_kernels(layer: Layer, x: Tensor, question: Callable[..., str | None], *rest: Any) -> str | None:
    """What keeps a layer from a map `x`: its precision, the answer to a question, or the device."""
    return (
        not_computed(x)
        or layer.answer(question, *rest)
        or layer.answer(no_kernels, x.device.type, x.device.index)
    )


def not_computed(x: Tensor) -> str | None:
    precision = precision_of(x)
    return None if precision in PRECISIONS else f"its kernel does not compute in {precision}"


def other_strides(layer: MBConv) -> str | None:
    if layer.depthwise.stride not in STRIDES:
        return "its kernel is for strides of 1 and of 2"
    return None


def of_narrow(layer: MBConv) -> str | None:
    norm1, norm2 = layer.norm1, layer.norm2
    if isinstance(norm1, nn.Identity) != isinstance(norm2, nn.Identity):
        return "one of its norms has been folded, the other has not"
    norms = unfoldable(layer, norm1) or unfoldable(layer, norm2)
    return other_narrow(layer) or other_strides(layer) or norms


def of_branch(layer: MBConv, compiles: bool = False) -> str | None:
    expand = layer._modules["expand"]
    reason = (
        rewritten(layer)
        or other_1x1("expand", expand, with_bias=False)
        or of_lean_narrow(layer)
        or other_strides(layer)
    )
    if reason is None and layer.depthwise.bias is not None:
        reason = "its kernel is for a depthwise convolution without a bias"
    if reason is None and compiles and (group_of(layer.norm1) or group_of(layer.norm2)) is not None:
        reason = "to compilers it is an operator of one process"
    return reason


def no_kernels(_: Layer, device: str, index: int | None) -> str | None:
    """What keeps all of them from running on a device."""
    return of_device(device, index)


@lru_cache
def of_device(device: str, index: int | None) -> str | None:
    if find_spec("triton") is None:
        return "its kernel needs Triton, which is not installed (pip install triton)"
    if device != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return "its kernel is for GPUs"
    version = import_module("triton").__version__
    if tuple(map(int, version.split(".")[:2])) < LEAST_TRITON:
        least = ".".join(map(str, LEAST_TRITON))
        return f"its kernel needs Triton {least} or later, this is {version}"
    if device != "cuda":
        return None
    if torch.version.hip:
        return "its kernel is for NVIDIA's GPUs, this is another"
    capability = torch.cuda.get_device_capability(index)
    if capability < LEAST_CAPABILITY:
        least, this = ("{}.{}".format(*each) for each in (LEAST_CAPABILITY, capability))
        return f"its kernel needs a GPU of compute capability {least} or later, this is of {this}"
    return no_compiler()


def no_compiler() -> str | None:
    """Triton compiles its launcher, in C, at the first launch."""
    if not (os.environ.get("CC") or which("gcc") or which("clang")):
        return "its kernel needs a C compiler, with which Triton builds its launcher (apt install gcc)"
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return "its kernel needs Python's headers, for Triton's launcher (apt install python3-dev)"
    return None
