"""Kernels of attention, started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..kernels import few_tokens, many_tokens
from ..kernels import of_table as of_table_kernels
from ..tiles import is_small
from .device import cdiv, power_of_2, processors_of, start

LEAST_LANES = 16  # of a product's operand
ENTRIES = 16  # of the table, of a program
PROGRAMS_OF_BIAS = 4 * 132  # of an H200, four for each multiprocessor

# How kernels are built in 16 bits and, True, in fp32, whose tiles are twice as large: the fastest that were
# tried on an H200 with a study of these kernels, for maps of MaxViT-T. `per_sm`: programs for each
# multiprocessor, of kernels whose programs take one group after another.
Options = dict[str, Any]
FEW: dict[bool, dict[str, Options]] = {
    False: {
        "forward": dict(num_warps=4, num_stages=2, maxnreg=128, per_sm=4),
        "backward": dict(num_warps=4, num_stages=1, per_sm=2),
    },
    True: {
        "forward": dict(num_warps=8, num_stages=1, per_sm=2),
        "backward": dict(num_warps=8, num_stages=1, per_sm=1),
    },
}
MANY: dict[bool, dict[str, Options]] = {
    False: {
        "forward": dict(num_warps=4, num_stages=1, maxnreg=168, OWNED=64, LANES=64),
        "backward_of_queries": dict(num_warps=4, num_stages=1, maxnreg=168, OWNED=64, LANES=64),
        "backward_of_keys": dict(num_warps=4, num_stages=1, maxnreg=168, OWNED=64, LANES=32),
        "of_bias": dict(num_warps=4, num_stages=1, LANES=64),
    },
    True: {
        name: dict(num_warps=4, num_stages=1, LANES=32, **owned)
        for name, owned in {
            "forward": dict(OWNED=32),
            "backward_of_queries": dict(OWNED=32),
            "backward_of_keys": dict(OWNED=32),
            "of_bias": {},
        }.items()
    },
}


class Sizes(NamedTuple):
    """The arguments of every kernel, in the order of `kernels.groups.SIZES`."""

    groups: int
    groups_y: int
    groups_x: int
    height: int
    width: int
    to_group_y: int
    to_rank_y: int
    to_group_x: int
    to_rank_x: int
    p: int
    q: int
    heads: int

    @classmethod
    def of(cls, qkv: Tensor, heads: int, is_grid: bool, p: int, q: int) -> Sizes:
        """Of a map [b, height, width, 3 * heads * D]."""
        b, height, width, _ = qkv.shape
        down, across = -(-height // p), -(-width // q)
        steps = (1, down, 1, across) if is_grid else (p, 1, q, 1)
        return cls(b * down * across, down, across, height, width, *steps, p, q, heads)


def forward(qkv: Tensor, table: Tensor, is_grid: bool, p: int, q: int) -> tuple[Tensor, Tensor]:
    """Attention of a map, and what its backward pass needs beside: nothing where groups are small.

    Args:
        qkv: [b, height, width, 3 * heads * D], contiguous.
        table: [heads, 2 * p - 1, 2 * q - 1] in fp32, contiguous.

    Returns:
        [b, height, width, heads * D], and [b, height, width, heads] in fp32 or, of small groups, no numbers.
    """
    sizes = Sizes.of(qkv, len(table), is_grid, p, q)
    out = qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)
    is_few, options = is_small(p, q), Options(PRECISION=precision_of(qkv))
    lse = qkv.new_empty(0 if is_few else (*qkv.shape[:3], len(table)), dtype=torch.float32)
    if not len(qkv):
        return out, lse
    if is_few:
        options |= few_options(qkv, "forward", p, q)
        grid = programs(qkv, sizes, options.pop("per_sm"))
        start(few_tokens.forward, grid, qkv, table, out, *sizes, **options)
    else:
        options |= many_options(qkv, "forward", p, q)
        start(many_tokens.forward, parts(sizes, options), qkv, table, out, lse, *sizes, **options)
    return out, lse


def backward(
    of_out: Tensor, qkv: Tensor, table: Tensor, kept: Sequence[Tensor], is_grid: bool, wanted: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of `qkv` and, where it is `wanted`, of `table`: else no numbers.

    Args:
        of_out: [b, height, width, heads * D], contiguous.
        kept: what `forward` returned, of large groups.
    """
    heads, (p, q) = len(table), ((length + 1) // 2 for length in table.shape[1:])
    sizes = Sizes.of(qkv, heads, is_grid, p, q)
    of_qkv = torch.empty_like(qkv)
    of_table = torch.empty_like(table) if wanted else table.new_empty(0)
    if not len(qkv):
        return of_qkv, of_table.zero_()
    options: Options = dict(PRECISION=precision_of(qkv))
    if is_small(p, q):
        options |= few_options(qkv, "backward", p, q)
        grid = programs(qkv, sizes, options.pop("per_sm"))
        lanes = options["LANES"]
        partial = table.new_empty((grid[0] // heads, heads, 1, lanes, lanes) if wanted else 0)
        given: tuple[Tensor, ...] = (qkv, table, of_out, of_qkv, partial)
        start(few_tokens.backward, grid, *given, *sizes, OF_TABLE=wanted, **options)
    else:
        out, lse = kept
        delta = torch.empty_like(lse)
        given = qkv, table, out, lse, of_out, of_qkv, delta
        by_queries = options | many_options(qkv, "backward_of_queries", p, q)
        start(many_tokens.backward_of_queries, parts(sizes, by_queries), *given, *sizes, **by_queries)
        given = qkv, table, lse, delta, of_out, of_qkv
        by_keys = options | many_options(qkv, "backward_of_keys", p, q)
        start(many_tokens.backward_of_keys, parts(sizes, by_keys), *given, *sizes, **by_keys)
        options |= many_options(qkv, "of_bias", p, q)
        if wanted:
            lanes = options["LANES"]
            number, _, splits = each_distance = distances(sizes, options)
            partial = table.new_empty(splits, heads, number, lanes, lanes)
            given = qkv, table, lse, delta, of_out, partial
            start(of_table_kernels.of_bias, each_distance, *given, *sizes, **options)
    if wanted:
        of_bias = partial.sum(0) if len(partial) > 1 else partial
        entries = 2 * p - 1, cdiv(2 * q - 1, ENTRIES), heads
        tile = dict(COLUMNS=options["COLUMNS"], LANES=options["LANES"], ENTRIES=ENTRIES)
        start(of_table_kernels.of_table, entries, of_bias, of_table, p, q, **tile)
    return of_qkv, of_table


def few_options(x: Tensor, kernel: str, p: int, q: int) -> Options:
    """What a kernel for groups that a tile holds is built with."""
    columns = power_of_2(q)
    lanes = max(LEAST_LANES, power_of_2(p * columns))
    return dict(COLUMNS=columns, LANES=lanes, **FEW[is_fp32(x)][kernel])


def many_options(x: Tensor, kernel: str, p: int, q: int) -> Options:
    """The same for larger groups. Boxes are of the shape of which the fewest cover a group."""
    options = MANY[is_fp32(x)][kernel]
    lanes = options["LANES"]
    shapes = [(lanes >> i, 1 << i) for i in range(lanes.bit_length())]  # columns, rows
    columns, _ = min(shapes, key=lambda shape: -(-q // shape[0]) * -(-p // shape[1]))
    return dict(COLUMNS=columns, **options)


def programs(x: Tensor, sizes: Sizes, per_sm: int) -> tuple[int]:
    """Programs that take one group after another: as many for each head, none with more than it must."""
    most = max(1, min(sizes.groups, per_sm * processors_of(x) // sizes.heads))
    each = -(-sizes.groups // most)
    return (sizes.heads * -(-sizes.groups // each),)


def parts(sizes: Sizes, options: Options) -> tuple[int, int]:
    """A program for the tokens that it owns, in each group and head."""
    return sizes.groups * -(-sizes.p * sizes.q // options["OWNED"]), sizes.heads


def distances(sizes: Sizes, options: Options) -> tuple[int, int, int]:
    """A program for each distance of boxes and head, several that share the groups where these are few."""
    columns = options["COLUMNS"]
    down, across = -(-sizes.p // (options["LANES"] // columns)), -(-sizes.q // columns)
    number = (2 * down - 1) * (2 * across - 1)
    splits = PROGRAMS_OF_BIAS // (number * sizes.heads)
    return number, sizes.heads, max(1, min(sizes.groups, splits))


def is_fp32(x: Tensor) -> bool:
    return x.dtype == torch.float32


def precision_of(x: Tensor) -> str:
    """Of products: TF32 where the user lets those of PyTorch be so."""
    return "tf32" if is_fp32(x) and x.is_cuda and takes_tf32() else "ieee"


def takes_tf32() -> bool:
    """As the user has set it: newer releases raise where the old word is read after the new one was set."""
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, "fp32_precision"):
        return bool(matmul.fp32_precision == "tf32")
    return bool(matmul.allow_tf32)
