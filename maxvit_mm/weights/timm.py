"""timm's `maxvit_*_tf_*`: the official function under other names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from .checkpoint import CheckpointError
from .translation import BLOCK, Translation, renamed

TITLE = "timm maxvit_*_tf_*"
SIGN = r"stages\.0\.blocks\.0\..+"  # a name that only timm's have

THEIR_BLOCK = "stages.{i}.blocks.{j}"
NAMES = {
    "trunk.stem.conv1": "stem.conv1",
    "trunk.stem.norm": "stem.norm1",
    "trunk.stem.conv2": "stem.conv2",
    f"{BLOCK}.mbconv.pre_norm": f"{THEIR_BLOCK}.conv.pre_norm",
    f"{BLOCK}.mbconv.expand": f"{THEIR_BLOCK}.conv.conv1_1x1",
    f"{BLOCK}.mbconv.norm1": f"{THEIR_BLOCK}.conv.norm1",
    f"{BLOCK}.mbconv.depthwise": f"{THEIR_BLOCK}.conv.conv2_kxk",
    f"{BLOCK}.mbconv.norm2": f"{THEIR_BLOCK}.conv.norm2",
    f"{BLOCK}.mbconv.se.reduce": f"{THEIR_BLOCK}.conv.se.fc1",
    f"{BLOCK}.mbconv.se.expand": f"{THEIR_BLOCK}.conv.se.fc2",
    f"{BLOCK}.mbconv.shrink": f"{THEIR_BLOCK}.conv.conv3_1x1",
    f"{BLOCK}.mbconv.shortcut": f"{THEIR_BLOCK}.conv.shortcut.expand",
    **{
        f"{BLOCK}.{partition}_attention.{ours}": f"{THEIR_BLOCK}.attn_{partition}.{theirs}"
        for partition in ("block", "grid")
        for ours, theirs in {
            "norm1": "norm1",
            "attention": "attn.rel_pos",
            "attention.qkv": "attn.qkv",
            "attention.out": "attn.proj",
            "norm2": "norm2",
            "ffn.0": "mlp.fc1",
            "ffn.2": "mlp.fc2",
        }.items()
    },
    "head.norm": "head.norm",
    "head.pre_logits": "head.pre_logits.fc",
    "head.logits": "head.fc",
}
TRANSLATION = Translation(renamed(NAMES))


def check(tensors: Mapping[str, Tensor], source: str) -> None:
    """Refuse timm's other MaxViTs, which share these names and compute something else."""
    table = tensors.get("stages.0.blocks.0.attn_block.attn.rel_pos.relative_position_bias_table")
    if table is None or table.ndim != 3:
        raise CheckpointError(
            f"{source} is one of timm's own MaxViT designs (such as maxvit_*_rw_*, maxvit_rmlp_* or "
            f"coatnet_*), not the official network: take one of timm's maxvit_*_tf_* weights"
        )
