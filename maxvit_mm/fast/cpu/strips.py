"""A map under a 3x3 convolution, some of its rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .pieces import ranges

KERNEL = 3


class Strip(NamedTuple):
    """Rows of what a convolution returns, and what it needs for them."""

    images: slice
    rows_out: slice
    rows: slice  # of the map, as far as it goes
    pad: tuple[int, int, int, int]  # left, right, above and below: zeros where it does not go
    columns: int  # of the map
    tokens: slice  # its rows among the tokens of the map, channels-last in memory: [tokens, c]
    tokens_out: slice  # and those that come out among theirs

    @property
    def there(self) -> tuple[slice, slice, slice]:
        """Where in the map."""
        return self.images, slice(None), self.rows

    @property
    def back(self) -> tuple[slice, slice, slice]:
        """Where in what comes out."""
        return self.images, slice(None), self.rows_out

    def room(self, x: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Memory like that of `x` for the rows, with the zeros that a convolution cannot add itself.

        Returns:
            the memory, where in it the rows are to be written, and the padding to ask of the convolution.
        """
        (left, right, above, below), padding = self.missing()
        images, rows = (each.stop - each.start for each in (self.images, self.rows))
        shape = images, x.shape[1], above + rows + below, left + self.columns + right
        memory = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for dim, start, width in (
            *((2, 0, above), (2, above + rows, below)),
            *((3, 0, left), (3, left + self.columns, right)),
        ):
            if width:
                memory.narrow(dim, start, width).zero_()
        return memory, self.inside(memory), padding

    def inside(self, memory: Tensor) -> Tensor:
        """The rows themselves in `room`."""
        (left, _, above, _), _ = self.missing()
        return memory[:, :, above : above + self.rows.stop - self.rows.start, left : left + self.columns]

    def padded(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The rows, which are `x`, in `room`, and the padding to ask of the convolution."""
        missing, padding = self.missing()
        if not any(missing):
            return x, padding
        memory, inside, padding = self.room(x)
        inside.copy_(x)
        return memory, padding

    def missing(self) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
        """The zeros that a convolution cannot add itself, which pads both sides alike; and those it can."""
        left, right, above, below = self.pad
        sides, ends = left == right, above == below
        cannot = (0 if sides else left, 0 if sides else right, 0 if ends else above, 0 if ends else below)
        return cannot, (above if ends else 0, left if sides else 0)


def strips(x: Tensor, stride: int, pad: tuple[int, int], width: int) -> Iterator[Strip]:
    """Top to bottom, the strips of each image or, of small ones, of several.

    Args:
        x: [b, c, height, width].
        stride: of the convolution: ceil(height / stride) rows come out.
        pad: rows above and columns to the left; there is always one below and one to the right.
        width: channels of the map under the convolution.
    """
    b, _, height, columns = x.shape
    rows_out, columns_out = -(-height // stride), -(-columns // stride)
    row_bytes = stride * columns * width * x.element_size()
    for images in ranges(x, b, row_bytes * rows_out):
        for rows in ranges(x, rows_out, row_bytes * (images.stop - images.start)):
            first, last = rows.start * stride - pad[0], (rows.stop - 1) * stride - pad[0] + KERNEL
            within = slice(max(first, 0), min(last, height))
            zeros = pad[1], 1, within.start - first, last - within.stop
            tokens = (
                consecutive(images, within, height, columns),
                consecutive(images, rows, rows_out, columns_out),
            )
            yield Strip(images, rows, within, zeros, columns, *tokens)


def consecutive(images: slice, rows: slice, height: int, columns: int) -> slice:
    """The tokens of rows of one image, or of several images whole."""
    return slice(
        (images.start * height + rows.start) * columns, ((images.stop - 1) * height + rows.stop) * columns
    )


def in_strips(
    before: Callable[[Tensor], Tensor],
    convolve: Callable[[Tensor, tuple[int, int]], Tensor],
    x: Tensor,
    stride: int,
    pad: tuple[int, int],
    widths: tuple[int, int],
) -> Tensor:
    """`convolve(before(x))`, of which `before(x)` is never whole.

    Args:
        before: acts on each place of the map by itself.
        convolve: a 3x3 convolution with a padding that it is given, and what acts on each place behind it.
        x, stride, pad: as of `strips`.
        widths: channels that `before` and `convolve` return.

    Returns:
        [b, widths[1], ceil(height / stride), ceil(width / stride)], channels-last in memory.
    """
    shape = len(x), widths[1], -(-x.shape[2] // stride), -(-x.shape[3] // stride)
    out: Tensor | None = None
    for strip in strips(x, stride, pad, widths[0]):
        part = convolve(*strip.padded(before(x[strip.there])))
        if out is None:
            if part.shape == shape:
                return part
            out = torch.empty(shape, dtype=part.dtype, device=part.device, memory_format=torch.channels_last)
        out[strip.back] = part
    assert out is not None  # a map has rows
    return out
