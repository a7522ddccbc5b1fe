"""Layer-wise learning-rate decay that knows MaxViT's blocks."""

from __future__ import annotations

import re
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

BACKBONE = "backbone."


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MaxViTLayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Lower learning rates for earlier blocks, as in BEiT (arXiv 2106.08254, A.1) and ConvNeXt.

    With `N` blocks, layer 0 is the stem, layer `k` the k-th block and layer `N + 1` the detector's neck and
    heads. Layer `l` learns at `lr * decay_rate ** (N + 1 - l)`.

    `paramwise_cfg` takes `decay_rate`, above 0 and at most 1, and all that MMEngine's default constructor
    takes: `norm_decay_mult`, `bias_decay_mult`, `custom_keys`. Parameters of equal settings share a group.

    Raises:
        ValueError: for a `decay_rate` that is missing or out of range, a model without a MaxViT backbone, or
            a parameter of the backbone that is in no layer.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        rate = self.paramwise_cfg.get("decay_rate")
        if not isinstance(rate, int | float) or not 0 < rate <= 1:
            raise ValueError(
                f"paramwise_cfg.decay_rate must be above 0 and at most 1, such as 0.8; got {rate}"
            )

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = "", **arguments: Any) -> None:
        if prefix:  # within the recursion of the base class
            super().add_params(params, module, prefix, **arguments)
            return
        apart: list[dict] = []
        super().add_params(apart, module, prefix, **arguments)
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        stages = block_counts(names.values())
        groups: dict[tuple, dict] = {}
        for group in apart:
            (parameter,) = group.pop("params")
            layer = layer_of(names[id(parameter)], stages)
            scale = self.paramwise_cfg["decay_rate"] ** (sum(stages) + 1 - layer)
            group = {**group, "lr": group.get("lr", self.base_lr) * scale, "layer": layer}
            shared = groups.setdefault(tuple(sorted(group.items())), {**group, "params": []})
            shared["params"].append(parameter)
        params.extend(sorted(groups.values(), key=lambda group: group["layer"]))


def block_counts(names: Any) -> list[int]:
    """The number of blocks in each stage of the backbone."""
    blocks = {
        (int(match[1]), int(match[2]))
        for name in names
        if (match := re.match(rf"{re.escape(BACKBONE)}trunk\.stages\.(\d+)\.(\d+)\.", name))
    }
    if not blocks:
        raise ValueError("layer decay counts MaxViT's blocks, and this model has no backbone of type MaxViT")
    return [sum(stage == i for stage, _ in blocks) for i in range(1 + max(stage for stage, _ in blocks))]


def layer_of(name: str, stages: list[int]) -> int:
    """The layer of a parameter: 0 the stem, then a block each, then everything after the backbone."""
    if not name.startswith(BACKBONE):
        return sum(stages) + 1
    if name.startswith(f"{BACKBONE}trunk.stem."):
        return 0
    if match := re.match(rf"{re.escape(BACKBONE)}trunk\.stages\.(\d+)\.(\d+)\.", name):
        return sum(stages[: int(match[1])]) + int(match[2]) + 1
    raise ValueError(
        f"layer decay: the parameter {name} is neither in MaxViT's stem nor in one of its blocks"
    )
