"""Where a score or a map's place depends on the image, by its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..network import Trunk
from ..network.twins import plain


@contextmanager
def following(trunk: Trunk, stage: int) -> Iterator[list[Tensor]]:
    """Within it, what is computed from a stage's map can be differentiated by it; the list gets the map.

    Nothing before the map is followed, so parameters must not ask for gradients.
    """
    maps: list[Tensor] = []

    def keep(_: nn.Module, __: tuple, out: Tensor) -> Tensor:
        maps[:] = [out.detach().requires_grad_()]
        return maps[0]

    last = list(trunk.stages[stage].children())[-1]
    handle = last.register_forward_hook(keep)
    try:
        with plain(trunk), torch.enable_grad():
            yield maps
    finally:
        handle.remove()


def grad_cam(score: Tensor, features: Tensor, whole_map: bool = True) -> Tensor:
    """Grad-CAM (Selvaraju et al., arXiv 1610.02391): channels weighted by the mean of their gradients.

    A mean over the whole map forgets which of several objects a score belongs to. Without it, each place has
    the gradient at that place for weights: HiResCAM (Draelos and Carin, arXiv 2011.08891).

    Args:
        score: one number, computed from the map.
        features: the map [1, channels, height, width].
        whole_map: whether to take that mean.

    Returns:
        [height, width], from 0 on.
    """
    (gradient,) = torch.autograd.grad(score, features, retain_graph=True)
    if whole_map:
        gradient = gradient.mean((2, 3), keepdim=True)
    return (gradient * features).sum(1).clamp(min=0)[0].detach()


def receptive_field(
    maps_of: Callable[[Tensor], Sequence[Tensor]], images: Tensor, stage: int, weights: Tensor | None = None
) -> Tensor:
    """The effective receptive field of a place (Luo et al., arXiv 1701.04128).

    Args:
        maps_of: a network of which `maps_of(images)[stage]` is a map [1, channels, height, width].
        images: [1, 3, height, width].
        weights: of the map's places, [1, height, width]; without them, its centre.

    Returns:
        the gradient of the mean over channels there with respect to the image, absolute, mean over the
        image's channels: [height, width] in pixels of `images`.
    """
    with torch.enable_grad():
        images = images.detach().clone().requires_grad_()
        channels = maps_of(images)[stage].mean(1)
        height, width = channels.shape[-2:]
        value = channels[0, height // 2, width // 2] if weights is None else (channels * weights).sum()
    (gradient,) = torch.autograd.grad(value, images)
    return gradient[0].abs().mean(0)


def area_of(part: float, field: Tensor) -> float:
    """The smallest part of a map's area that holds a part of its sum, both from 0 to 1."""
    values = field.flatten().sort(descending=True).values.double()
    held = values.cumsum(0) / values.sum()
    return (int((held < part).sum()) + 1) / len(values)
