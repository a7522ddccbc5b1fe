"""MaxViT again, slow and obviously right: one group at a time, one offset at a time, as the text says.

It shares nothing with the package but the names of the parameters.
"""

from __future__ import annotations

from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


def maps(weights: Weights, depths: tuple[int, ...], images: Tensor, size: int | str) -> list[Tensor]:
    """The four maps of a trunk in evaluation mode. images: [b, 3, height, width]."""
    height, width = images.shape[-2:]
    partition = (ceil(height / 32), ceil(width / 32)) if size == "scaled" else (size, size)
    x = conv(images, weights, "stem.conv1", stride=2)
    x = conv(gelu(batch_norm(x, weights, "stem.norm")), weights, "stem.conv2")
    found = []
    for stage, depth in enumerate(depths):
        for block in range(depth):
            name = f"stages.{stage}.{block}"
            x = mbconv(x, weights, f"{name}.mbconv", stride=2 if block == 0 else 1)
            x = attention_and_ffn(x, weights, f"{name}.block_attention", partition, block_groups)
            x = attention_and_ffn(x, weights, f"{name}.grid_attention", partition, grid_groups)
        found.append(x)
    return found


def block_groups(length: int, size: int) -> list[list[int]]:
    """Block window k holds rows kP to kP + P - 1 as far as they are below n."""
    return [
        [row for row in range(k * size, k * size + size) if row < length] for k in range(ceil(length / size))
    ]


def grid_groups(length: int, size: int) -> list[list[int]]:
    """Grid group i of the c = ceil(n / P) groups holds rows i, i + c, i + 2c, ... below n."""
    count = ceil(length / size)
    return [list(range(i, length, count)) for i in range(count)]


def attention_and_ffn(x: Tensor, weights: Weights, name: str, partition: tuple[int, int], groups) -> Tensor:
    x = x.permute(0, 2, 3, 1).clone()
    qkv = linear(layer_norm(x, weights, f"{name}.norm1"), weights, f"{name}.attention.qkv")
    table = resized(weights[f"{name}.attention.relative_position_bias_table"], partition)
    mixed = torch.empty_like(x)
    for rows in groups(x.shape[1], partition[0]):
        for columns in groups(x.shape[2], partition[1]):
            places = [(row, column) for row in rows for column in columns]
            ranks = [(i, j) for i in range(len(rows)) for j in range(len(columns))]
            offsets = [
                [(ky - qy + partition[0] - 1, kx - qx + partition[1] - 1) for ky, kx in ranks]
                for qy, qx in ranks
            ]
            for image in range(len(x)):
                tokens = torch.stack([qkv[image, row, column] for row, column in places])
                for head in range(x.shape[-1] // 32):
                    q, k, v = (tokens[:, part * x.shape[-1] + head * 32 :][:, :32] for part in range(3))
                    index = torch.tensor(offsets)
                    bias = table[head][index[..., 0], index[..., 1]]
                    out = ((q / 32**0.5) @ k.T + bias).softmax(-1) @ v
                    for (row, column), token in zip(places, out, strict=True):
                        mixed[image, row, column, head * 32 : head * 32 + 32] = token
    x = x + linear(mixed, weights, f"{name}.attention.out")
    hidden = gelu(linear(layer_norm(x, weights, f"{name}.norm2"), weights, f"{name}.ffn.0"))
    return (x + linear(hidden, weights, f"{name}.ffn.2")).permute(0, 3, 1, 2)


def resized(table: Tensor, partition: tuple[int, int]) -> Tensor:
    """Bilinear with half-pixel centres, a row and a column at a time."""
    for axis, size in ((1, partition[0]), (2, partition[1])):
        old, new = table.shape[axis], 2 * size - 1
        lines = []
        for i in range(new):
            place = max((i + 0.5) * old / new - 0.5, 0)
            low = int(place)
            high = min(low + 1, old - 1)
            share = place - low
            lines.append(table.select(axis, low) * (1 - share) + table.select(axis, high) * share)
        table = torch.stack(lines, axis)
    return table


def mbconv(x: Tensor, weights: Weights, name: str, stride: int) -> Tensor:
    shortcut = pooled(x) if stride == 2 else x
    if f"{name}.shortcut.weight" in weights:
        shortcut = conv(shortcut, weights, f"{name}.shortcut")
    x = conv(batch_norm(x, weights, f"{name}.pre_norm"), weights, f"{name}.expand")
    x = gelu(batch_norm(x, weights, f"{name}.norm1"))
    x = conv(x, weights, f"{name}.depthwise", stride=stride, groups=x.shape[1])
    x = gelu(batch_norm(x, weights, f"{name}.norm2"))
    gate = conv(x.mean((2, 3), keepdim=True), weights, f"{name}.se.reduce")
    gate = conv(gate * gate.sigmoid(), weights, f"{name}.se.expand").sigmoid()
    return shortcut + conv(x * gate, weights, f"{name}.shrink")


def pooled(x: Tensor) -> Tensor:
    """2x2 means of what is there."""
    rows = [
        torch.stack(
            [x[:, :, i : i + 2, j : j + 2].flatten(2).mean(2) for j in range(0, x.shape[3], 2)],
            -1,
        )
        for i in range(0, x.shape[2], 2)
    ]
    return torch.stack(rows, 2)


def conv(x: Tensor, weights: Weights, name: str, stride: int = 1, groups: int = 1) -> Tensor:
    """TensorFlow's 'same': ceil(n / stride) out, of the padding the smaller half before."""
    kernel = weights[f"{name}.weight"]
    padding = []
    for length in (x.shape[3], x.shape[2]):
        total = max((ceil(length / stride) - 1) * stride + kernel.shape[-1] - length, 0)
        padding += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, padding), kernel, weights.get(f"{name}.bias"), stride, groups=groups)


def batch_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    mean, variance, gain, shift = (
        weights[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-3).sqrt() * gain + shift


def layer_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
