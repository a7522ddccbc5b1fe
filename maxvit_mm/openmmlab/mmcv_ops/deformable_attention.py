"""Deformable attention over several maps, by the plain PyTorch version that mmcv itself has."""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

# What was read of a tensor of sizes, and its version then: the layers of a step share one, both ways.
_read: MutableMapping[Tensor, tuple[int, list[list[int]]]] = WeakTensorKeyDictionary()


def sizes_in(shapes: Tensor) -> list[list[int]]:
    """The heights and widths in a tensor [maps, 2]; a GPU is waited for once for each tensor."""
    if shapes.is_inference():  # which has no version
        return shapes.tolist()
    version, sizes = _read.get(shapes, (None, []))
    if version != shapes._version:
        sizes = shapes.tolist()
        _read[shapes] = (shapes._version, sizes)
    return sizes


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """The attention's output, [B, queries, heads * width]. The signature is mmcv's.

    Args:
        value: [B, pixels of all maps, heads, width].
        value_spatial_shapes: height and width of each map, [maps, 2].
        value_level_start_index: unused, as it follows from the shapes.
        sampling_locations: [B, queries, heads, maps, points, 2], x and y from 0 to 1.
        attention_weights: [B, queries, heads, maps, points].
        im2col_step: unused; images that the compiled op takes at a time.
    """
    # Here, as `mmcv.ops` can be imported only once this module is in its place.
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    output = multi_scale_deformable_attn_pytorch(
        value, sizes_in(value_spatial_shapes), sampling_locations, attention_weights
    )
    return output.to(value.dtype)  # which autocast would have changed


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Write the gradients of values, locations and weights into the buffers of their shapes."""
    value, locations, weights = inputs = [
        x.detach().requires_grad_() for x in (value, sampling_locations, attention_weights)
    ]
    with torch.enable_grad():
        output = ms_deform_attn_forward(
            value, value_spatial_shapes, value_level_start_index, locations, weights, im2col_step
        )
    buffers = (grad_value, grad_sampling_loc, grad_attn_weight)
    for buffer, grad in zip(buffers, torch.autograd.grad(output, inputs, grad_output), strict=True):
        buffer.copy_(grad)
