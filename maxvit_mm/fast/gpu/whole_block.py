"""`MaxViTBlock.forward` on a GPU where all of a block is as the paper has it: by kernels and products alone.

The block of `block` asks each layer in it how it runs, and calls it as a module. Small batches wait for that,
as they do for all of Python. Here the block is asked once, and functions of the inner twins are called.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...network.trunk import MaxViTBlock
from . import attention, attention_step, branch, ffn, narrow
from .block import with_halves
from .pointwise import pointwise


def infer(layer: MaxViTBlock, x: Tensor, size: tuple[int, int]) -> Tensor:
    """`MaxViTBlock.forward` without gradients."""
    mbconv: Any = layer.mbconv
    n = x if isinstance(mbconv.pre_norm, nn.Identity) else mbconv.pre_norm(x)
    added = narrow.infer(mbconv, pointwise(mbconv.expand, n))

    def attend(half: Any, y: Tensor) -> Tensor:
        inner = half._modules["attention"]
        layers = inner._modules
        qkv, out = layers["qkv"], layers["out"]
        y = attention.attend(inner, nn.functional.linear(y, qkv.weight, qkv.bias), size)
        return nn.functional.linear(y, out.weight, out.bias)

    return with_halves(
        layer, shortcut(mbconv, x), added, attend, lambda half, y: ffn.infer(half._modules["ffn"], y)
    )


def train(layer: MaxViTBlock, x: Tensor, size: tuple[int, int]) -> Tensor:
    """`MaxViTBlock.forward` with a backward pass to come."""
    mbconv: Any = layer.mbconv
    added = branch.train(mbconv, x)

    def attend(half: Any, y: Tensor) -> Tensor:
        return attention_step.train(half._modules["attention"], y, size)

    return with_halves(
        layer, shortcut(mbconv, x), added, attend, lambda half, y: ffn.train(half._modules["ffn"], y)
    )


def shortcut(mbconv: Any, x: Tensor) -> Tensor:
    """What the branch of an MBConv is added to."""
    pool, convolution = mbconv._modules["pool"], mbconv._modules["shortcut"]
    if not isinstance(pool, nn.Identity):
        x = pool(x)
    return x if isinstance(convolution, nn.Identity) else pointwise(convolution, x)
