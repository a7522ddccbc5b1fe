"""The kernel in the middle of an MBConv, started."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels import depthwise
from .device import cdiv, processors_of, start

# By stride, how the kernel is built: a study of it was compiled so without spills, but never timed.
OPTIONS = {
    1: dict(ROWS=4, STRIPS=4, CHANNELS=64, num_warps=4),
    2: dict(ROWS=2, STRIPS=4, CHANNELS=64, num_warps=4),
}
PROGRAMS_AN_SM = 12  # as many as there are to be at least, in walks that are as short as need be
SHORTEST_WALK = 14  # columns: a walk computes two of its neighbours' again


def forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    norm1: Sequence[Tensor],
    norm2: Sequence[Tensor],
    eps: tuple[float, float],
    stride: int,
    pad: tuple[int, int],
    tanh: bool,
) -> tuple[Tensor, Tensor]:
    """See `narrow.run`. x: channels-last in memory."""
    b, c, height, width = x.shape
    down, across = -(-height // stride), -(-width // stride)
    shape = b, c, down, across
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    if not b:
        return out, x.new_empty(b, c, dtype=torch.float32)
    options = OPTIONS[stride]
    an_image = cdiv(down, options["ROWS"])
    programs = cdiv(c, options["CHANNELS"]) * cdiv(b * an_image, options["STRIPS"])
    columns = columns_of_a_walk(across, programs, PROGRAMS_AN_SM * processors_of(x))
    walks = cdiv(across, columns)
    sums = x.new_empty(b, an_image * walks, c, dtype=torch.float32)
    first, second = (
        [*norm, at] if norm else [x, x, x, x, at] for norm, at in zip((norm1, norm2), eps, strict=True)
    )
    sizes = b * an_image, an_image, height, width, down, across, columns, *pad, c
    given = out, sums, weight, x if bias is None else bias, *first, *second, *sizes
    flags = dict(NORMED=bool(norm1), BIASED=bias is not None, WHOLE=True, TANH=tanh, STRIDE=stride)
    start(depthwise.forward, (programs, walks), x, *given, **flags, **options)
    return out, sums.sum(1)


def columns_of_a_walk(across: int, programs: int, wanted: int) -> int:
    """So many that there are programs enough, where walks are not too short."""
    walks = max(1, min(cdiv(wanted, programs), across // SHORTEST_WALK))
    return cdiv(across, walks)
