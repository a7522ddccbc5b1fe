"""Learning rates for MaxViT's blocks: falling block by block, or lower than the heads'."""

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
    heads. Layer `l` learns at `lr * decay_rate ** (N + 1 - l)`, times `backbone_lr_mult` in the backbone.

    `paramwise_cfg` takes `decay_rate` or `backbone_lr_mult` or both, each above 0 and at most 1, and all that
    MMEngine's default constructor takes: `norm_decay_mult`, `bias_decay_mult`, `custom_keys`. (There a custom
    key for the backbone would set aside what the first two say of its norms and biases.) Parameters of equal
    settings share a group.

    Raises:
        ValueError: for a rate that is missing or out of range, a model without a MaxViT backbone, or a
            parameter of the backbone that is in no layer.
    """

    decay_rate: float
    backbone_lr_mult: float

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        given: dict[str, Any] = self.paramwise_cfg or {}
        if not {"decay_rate", "backbone_lr_mult"} & set(given):
            raise ValueError(
                "paramwise_cfg needs a decay_rate, such as 0.8, or a backbone_lr_mult, such as 0.1"
            )
        for key in ("decay_rate", "backbone_lr_mult"):
            rate = given.get(key, 1)
            if not isinstance(rate, int | float) or not 0 < rate <= 1:
                raise ValueError(f"paramwise_cfg.{key} must be above 0 and at most 1; got {rate}")
            setattr(self, key, rate)

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
            scale = self.decay_rate ** (sum(stages) + 1 - layer)
            if layer <= sum(stages):
                scale *= self.backbone_lr_mult
            rate: Any = group.get("lr", self.base_lr)
            group = {**group, "lr": rate * scale, "layer": layer}
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
