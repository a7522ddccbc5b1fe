"""torchvision's `maxvit_t`: another function, `convention='torchvision'` of the network."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..network import HEAD_WIDTH
from .translation import BLOCK, Line, Translation, renamed

TITLE = "torchvision maxvit_t"
SIGN = r"blocks\.0\.layers\.0\.layers\.MBconv\..+"

THEIR_BLOCK = "blocks.{i}.layers.{j}.layers"
MBCONV = f"{THEIR_BLOCK}.MBconv.layers"
ATTENTION = {"block": f"{THEIR_BLOCK}.window_attention", "grid": f"{THEIR_BLOCK}.grid_attention"}
NAMES = {
    "trunk.stem.norm": "stem.0.1",
    "trunk.stem.conv2": "stem.1.0",
    f"{BLOCK}.mbconv.pre_norm": f"{MBCONV}.pre_norm",
    f"{BLOCK}.mbconv.expand": f"{MBCONV}.conv_a.0",
    f"{BLOCK}.mbconv.norm1": f"{MBCONV}.conv_a.1",
    f"{BLOCK}.mbconv.depthwise": f"{MBCONV}.conv_b.0",
    f"{BLOCK}.mbconv.norm2": f"{MBCONV}.conv_b.1",
    f"{BLOCK}.mbconv.se.reduce": f"{MBCONV}.squeeze_excitation.fc1",
    f"{BLOCK}.mbconv.se.expand": f"{MBCONV}.squeeze_excitation.fc2",
    f"{BLOCK}.mbconv.shrink": f"{MBCONV}.conv_c",
    f"{BLOCK}.mbconv.shortcut": f"{THEIR_BLOCK}.MBconv.proj.1",  # after its average pool
    **{
        f"{BLOCK}.{partition}_attention.{ours}": f"{attention}.{theirs}"
        for partition, attention in ATTENTION.items()
        for ours, theirs in {
            "norm1": "attn_layer.0",
            "attention.out": "attn_layer.1.merge",
            "norm2": "mlp_layer.0",
            "ffn.0": "mlp_layer.1",
            "ffn.2": "mlp_layer.3",
        }.items()
    },
    "head.norm": "classifier.2",
    "head.pre_logits": "classifier.3",
}


def scale_keys(qkv: Tensor) -> Tensor:
    """Fold torchvision's scale, one over the root of the *full* width, into the keys.

    Ours is one over the root of a head's width. qkv: [3 width, width] or [3 width].
    """
    q, k, v = qkv.chunk(3)
    return torch.cat([q, k * math.sqrt(HEAD_WIDTH / len(k)), v])


def read_table(table: Tensor) -> Tensor:
    """[(2P - 1)^2, heads], query minus key -> [heads, 2P - 1, 2P - 1], key minus query."""
    side = math.isqrt(len(table))
    return table.t().unflatten(1, (side, side)).flip(1, 2)


def zeros_of(weight: Tensor) -> Tensor:
    """The bias that a layer without one has."""
    return weight.new_zeros(len(weight))


def attention_lines() -> list[Line]:
    lines = []
    for partition, attention in ATTENTION.items():
        ours, theirs = f"{BLOCK}.{partition}_attention.attention", f"{attention}.attn_layer.1"
        lines += [
            Line(f"{ours}.qkv.weight", (f"{theirs}.to_qkv.weight",), scale_keys),
            Line(f"{ours}.qkv.bias", (f"{theirs}.to_qkv.bias",), scale_keys),
            Line(
                f"{ours}.relative_position_bias_table",
                (f"{theirs}.relative_position_bias_table",),
                read_table,
            ),
        ]
    return lines


TRANSLATION = Translation(
    [
        *renamed(NAMES),
        *attention_lines(),
        Line("trunk.stem.conv1.weight", ("stem.0.0.weight",)),
        Line("trunk.stem.conv1.bias", ("stem.0.0.weight",), zeros_of),
        Line("head.logits.weight", ("classifier.5.weight",)),
        Line("head.logits.bias", ("classifier.5.weight",), zeros_of),
    ],
    ignored=r".+\.relative_position_index",
)
