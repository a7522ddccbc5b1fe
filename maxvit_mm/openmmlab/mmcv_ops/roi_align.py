"""RoIAlign as a sparse matrix: each bin of an RoI is a weighted sum of pixels.

Bilinear sampling and averaging are linear, and each is the product of one along y and one along x.
So a pixel's share of a bin is its row's share times its column's, and the backward pass is the same
matrix, transposed.

Formula: He et al., `Mask R-CNN <https://arxiv.org/abs/1703.06870>`_, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from .compiled import needs_compiled

MAX_POOLING = 0  # mmcv's pool_mode; 1 is the average
CHUNK = 2**21  # pairs of a bin and a pixel held at a time: some 50 MB
TOGETHER = 2**19  # of them, sorted at a time on the way back: a GPU is waited for at each time
Part = tuple[Tensor, Tensor, Tensor]  # what `matrix` yields


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the average of each bin of each RoI into `output`. The signature is mmcv's.

    Args:
        input: features [B, C, H, W], of any memory format.
        rois: [R, 5], the image's number in the batch and x1, y1, x2, y2 in pixels of the image.
        output: [R, C, aligned_height, aligned_width], overwritten.
        argmax_y, argmax_x: unused; max pooling's.
        spatial_scale: pixels of the features in one of the image.
        sampling_ratio: samples along each side of a bin; 0 takes one for each pixel, rounded up.
        pool_mode: 1, the average.
        aligned: whether a pixel's centre, not its corner, is its coordinate.

    Raises:
        RuntimeError: for max pooling, which compiled mmcv has.
    """
    refuse_max_pooling(pool_mode)
    bins = (aligned_height, aligned_width)
    pixels = rows(input)
    output.zero_()  # what an RoI without a sample gets
    parts = matrix(rois, input.shape, bins, spatial_scale, sampling_ratio, aligned)
    for which, pixel, share in parts:
        pooled = F.embedding_bag(pixel, pixels, mode="sum", per_sample_weights=share.to(pixels))
        output[which] = pooled.unflatten(0, (-1, *bins)).movedim(-1, 1).to(output.dtype)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of the features [B, C, H, W] to `grad_input`; see `roi_align_forward`."""
    refuse_max_pooling(pool_mode)
    bins = (aligned_height, aligned_width)
    batch, channels, height, width = grad_input.shape
    precision = torch.promote_types(grad_input.dtype, torch.float32)
    grad_pixels = grad_input.new_zeros(batch * height * width, channels, dtype=precision)
    parts = matrix(rois, grad_input.shape, bins, spatial_scale, sampling_ratio, aligned)
    for held in together(parts):
        which, pixel, share = zip(*held, strict=True)
        # Sorted by pixel, the matrix is its own transpose: bags of bins instead of bags of pixels.
        pixel_of_pair, order = torch.cat([each.flatten() for each in pixel]).sort()
        touched, pairs = pixel_of_pair.unique_consecutive(return_counts=True)
        grad_pixels[touched] += F.embedding_bag(
            bin_of_pair(pixel)[order],
            rows(grad_output[torch.cat(which)]),
            pairs.cumsum(0) - pairs,
            mode="sum",
            per_sample_weights=torch.cat([each.flatten() for each in share])[order].to(grad_pixels),
        )
    grad_input += grad_pixels.view(batch, height, width, -1).permute(0, 3, 1, 2)


def matrix(
    rois: Tensor,
    shape: torch.Size,
    bins: tuple[int, int],
    scale: float,
    ratio: int,
    aligned: bool,
) -> Iterator[Part]:
    """The sparse matrix from pixels to bins, for some RoIs with windows of one size at a time.

    Yields:
        The RoIs' numbers [n]; then for each of their n * bins[0] * bins[1] bins the pixels of its
        window, as rows of [B * H * W, C], and their shares, both [bins, pixels].
    """
    rois = single_or_better(rois)
    image, corners = rois[:, 0].long(), rois[:, 1:] * scale - (0.5 if aligned else 0.0)
    start, end = corners.reshape(-1, 2, 2).flip(-1).unbind(1)  # [R, 2]: y and x, as all below
    length = (end - start).clamp(min=0.0 if aligned else 1.0)
    bin_length = torch.stack([along / count for along, count in zip(length.unbind(1), bins, strict=True)], 1)
    samples = torch.full_like(start, ratio) if ratio > 0 else bin_length.ceil()
    # From the pixel before the first sample to the one after the last. 0 / 0 if there is no sample.
    window = (bin_length * (samples - 1) / samples).nan_to_num().ceil() + 2
    fitting = [along.clamp(max=side) for along, side in zip(window.unbind(1), shape[2:], strict=True)]
    plans = torch.cat([samples, torch.stack(fitting, 1)], 1).long()
    # A GPU is waited for twice, however many plans there are: for their number, and for them.
    kinds, kind, counts = plans.unique(dim=0, return_inverse=True, return_counts=True)
    rois_of_kinds = kind.argsort(stable=True)
    for *plan, count in torch.cat([kinds, counts[:, None]], 1).tolist():
        rois_of_kind, rois_of_kinds = rois_of_kinds[:count], rois_of_kinds[count:]
        samples_y, samples_x, window_y, window_x = plan
        if min(samples_y, samples_x) <= 0:
            continue
        y_axis, x_axis = (bins[0], samples_y, window_y), (bins[1], samples_x, window_x)
        work = prod(bins) * window_y * window_x + prod(y_axis) + prod(x_axis)
        for which in rois_of_kind.split(max(1, CHUNK // work)):
            y, share_y = axis(start[which, 0], bin_length[which, 0], *y_axis, shape[2])
            x, share_x = axis(start[which, 1], bin_length[which, 1], *x_axis, shape[3])
            row = image[which, None, None] * shape[2] + y
            pixel = row[:, :, None, :, None] * shape[3] + x[:, None, :, None, :]
            share = share_y[:, :, None, :, None] * share_x[:, None, :, None, :]
            yield which, pixel.flatten(3).flatten(0, 2), share.flatten(3).flatten(0, 2)


def together(parts: Iterator[Part]) -> Iterator[list[Part]]:
    """As many parts at a time as have `TOGETHER` pairs of a bin and a pixel, or one that has more."""
    held: list[Part] = []
    size = 0
    for part in parts:
        pairs = part[1].numel()
        if held and size + pairs > TOGETHER:
            yield held
            held, size = [], 0
        held.append(part)
        size += pairs
    if held:
        yield held


def bin_of_pair(pixel: Sequence[Tensor]) -> Tensor:
    """The number of each pair's bin, counted through all parts."""
    number = torch.arange(sum(map(len, pixel)), device=pixel[0].device)
    parts = zip(number.split([*map(len, pixel)]), pixel, strict=True)
    return torch.cat([bins[:, None].expand_as(pixels).flatten() for bins, pixels in parts])


def axis(
    start: Tensor, bin_length: Tensor, bins: int, samples: int, window: int, size: int
) -> tuple[Tensor, Tensor]:
    """Along one axis, the pixels of each bin's window and their shares: both [R, bins, window].

    `start` and `bin_length` [R] are in pixels of the features, of which there are `size`.
    """
    number = torch.arange(max(bins, samples, window), device=start.device)
    position = (
        start[:, None, None]
        + number[:bins, None] * bin_length[:, None, None]
        + (number[:samples] + 0.5) * bin_length[:, None, None] / samples
    )
    # Up to a pixel beyond the border counts as on it, what is farther out as zero.
    inside = (position >= -1) & (position <= size)
    position = position.clamp(0, size - 1)
    pixel = position[..., :1].floor() + number[:window]
    share = (1 - (position[..., :, None] - pixel[..., None, :]).abs()).clamp(min=0)
    return pixel.long().clamp(max=size - 1), (share * inside[..., None]).mean(-2)


def rows(maps: Tensor) -> Tensor:
    """[B, C, H, W] -> [B * H * W, C] in single precision or better; a view where it can be."""
    return single_or_better(maps.permute(0, 2, 3, 1).flatten(0, 2))


def single_or_better(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def refuse_max_pooling(pool_mode: int) -> None:
    if pool_mode == MAX_POOLING:
        needs_compiled("roi_align with pool_mode='max'")
