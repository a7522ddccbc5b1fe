"""A whole classifier under the names of MMPretrain's `ImageClassifier`, with our backbone and head in it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

BACKBONE, HEAD = "backbone.", "head.layers."


def to_theirs(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of ours, `trunk.` and `head.`, as the classifier's."""
    return {
        HEAD + name.removeprefix("head.") if name.startswith("head.") else BACKBONE + name: tensor
        for name, tensor in tensors.items()
    }


def head_beside(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of the head under names of ours.

    Args:
        prefix: before the names of the backbone.
    """
    if not prefix.endswith(BACKBONE):
        return {}
    beginning = prefix.removesuffix(BACKBONE) + HEAD
    return {
        f"head.{name.removeprefix(beginning)}": tensor
        for name, tensor in tensors.items()
        if name.startswith(beginning)
    }
