"""Which MaxViT a set of tensors belongs to, read off their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..network import CONVENTIONS, STRIDES, VARIANTS, Head, Trunk, Variant, find_convention, find_variant
from .checkpoint import CheckpointError
from .loading import TABLE, differences, shorten
from .translation import COUNTER


class Architecture(NamedTuple):
    """All that is needed to build the network that fits some weights."""

    variant: Variant
    table_partition_size: int
    convention: str
    classes: int | None  # None: without a head

    @property
    def name(self) -> str:
        """The variant's own, or 'custom'."""
        return next((name for name, variant in VARIANTS.items() if variant == self.variant), "custom")

    def build(self) -> nn.Module:
        """The network, with the names of a checkpoint; without memory, on the meta device."""
        with torch.device("meta"):
            parts = nn.ModuleDict(
                {
                    "trunk": Trunk(
                        self.variant,
                        table_partition_size=self.table_partition_size,
                        convention=find_convention(self.convention),
                    )
                }
            )
            if self.classes is not None:
                parts["head"] = Head(self.variant.widths[-1], self.classes)
        return parts


def infer(tensors: Mapping[str, Tensor], source: str, convention: str = "official") -> Architecture:
    """Read the architecture off tensors of our names.

    Args:
        source: where the tensors are from, for the message.

    Raises:
        CheckpointError: where a tensor that tells is missing, or tells of no MaxViT.
    """

    def shape(name: str, dimensions: int) -> torch.Size:
        if name not in tensors:
            raise CheckpointError(f"{source} is no whole MaxViT: {name} is missing")
        if tensors[name].ndim != dimensions:
            found = list(tensors[name].shape)
            raise CheckpointError(
                f"{source} is no MaxViT: {name} has shape {found}, not {dimensions} dimensions"
            )
        return tensors[name].shape

    blocks = {
        match.groups() for name in tensors if (match := re.match(r"trunk\.stages\.(\d+)\.(\d+)\.", name))
    }
    depths = [sum(int(stage) == i for stage, _ in blocks) for i in range(len(STRIDES))]
    if 0 in depths:
        raise CheckpointError(f"{source} has only {depths.index(0)} of MaxViT's {len(STRIDES)} stages")
    widths = [shape(f"trunk.stages.{i}.0.mbconv.shrink.weight", 4)[0] for i in range(len(STRIDES))]
    stem_width = shape("trunk.stem.conv1.weight", 4)[0]
    table = shape(f"trunk.stages.0.0.block_attention.attention.{TABLE}", 3)
    try:
        variant = find_variant({"stem_width": stem_width, "widths": widths, "depths": depths})
    except ValueError as error:
        raise CheckpointError(f"{source} is no MaxViT: {error}") from error
    has_head = any(name.startswith("head.") for name in tensors)
    classes = shape("head.logits.weight", 2)[0] if has_head else None
    return Architecture(variant, (table[1] + 1) // 2, convention, classes)


def convention_of(tensors: Mapping[str, Tensor]) -> str:
    """Whose MaxViT tensors of our names are: torchvision's alone has a convolution in every shortcut of
    stride 2."""
    stem, shortcut = "trunk.stem.conv2.weight", "trunk.stages.0.0.mbconv.shortcut.weight"
    if stem in tensors and shortcut in tensors and len(tensors[stem]) == len(tensors[shortcut]):
        return "torchvision"
    return next(iter(CONVENTIONS))


def complete(tensors: dict[str, Tensor], architecture: Architecture, source: str) -> dict[str, Tensor]:
    """The tensors in the network's order and in fp32, with counters for BatchNorm where there are none.

    Raises:
        CheckpointError: names every tensor that is missing, left over, misshapen or not finite.
    """
    own = architecture.build().state_dict()
    odd = [
        f"{name} ({str(tensor.dtype).removeprefix('torch.')})"
        for name, tensor in tensors.items()
        if not name.endswith(COUNTER) and (not tensor.is_floating_point() or tensor.is_meta)
    ]
    if odd:
        raise CheckpointError(f"{source} has tensors without real numbers in them: {shorten(odd, 3)}")
    tensors = {name: t if name.endswith(COUNTER) else t.float() for name, t in tensors.items()}
    counters = {name: torch.tensor(0) for name in own if name.endswith(COUNTER)}
    tensors = {**counters, **tensors}
    if problems := differences(own, tensors):
        raise CheckpointError(
            f"{source} is no complete {architecture.name} MaxViT; nothing was written:\n{problems}"
        )
    return {name: tensors[name] for name in own}
