"""Our own checkpoints, and MMDetection's and MMPretrain's, which hold our backbone among other things."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from .checkpoint import CheckpointError
from .mmpretrain import BACKBONE, head_beside
from .translation import Translated

TITLE = "maxvit_mm"
SIGN = r"(?:.+\.)?trunk\.stages\.0\.0\..+"

STEM = r"((?:.+\.)?)trunk\.stem\.conv1\.weight"


def translate(tensors: Mapping[str, Tensor]) -> Translated:
    """Take out the network, with the classification head where there is one.

    A checkpoint of ours begins its names with `trunk.` and `head.`, a detector with `backbone.trunk.`, and so
    does a classifier of MMPretrain's. What else these hold is not the network's; what else ours holds is left
    over.
    """
    prefixes = [match[1] for name in tensors if (match := re.fullmatch(STEM, name))]
    if len(prefixes) > 1:
        raise CheckpointError(
            f"it holds {len(prefixes)} MaxViT backbones ({', '.join(prefixes)}): keep one of them"
        )
    if not prefixes:
        return Translated({}, ["trunk.stem.conv1.weight"], [])
    (prefix,) = prefixes
    network = {
        name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)
    }
    return Translated({**network, **head_beside(tensors, prefix)}, [], [])


def describe(tensors: Mapping[str, Tensor]) -> str:
    if any(name.startswith("trunk.") for name in tensors):
        return f"{TITLE}, converted before"
    classifier = bool(head_beside(tensors, BACKBONE))
    return f"{TITLE}, taken out of a {'classifier of MMPretrain' if classifier else 'detector'}"
