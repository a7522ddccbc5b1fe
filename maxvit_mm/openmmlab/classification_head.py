"""The official classification head, for MMPretrain's `ImageClassifier`."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..network import Head


@MODELS.register_module(name="MaxViTClsHead")
def maxvit_cls_head(**arguments: Any) -> nn.Module:
    """Average, LayerNorm, linear, tanh, linear: MMPretrain's `ClsHead` with the layers that MaxViT trained.

    Takes `num_classes`, `in_channels` (the width of the last stage), and what `ClsHead` takes: `loss`,
    `topk`, `cal_acc`, `init_cfg`. Its layers are the official head's, and converted weights give its logits.
    """
    # Here, because MMPretrain is one of the extras, and takes seconds to import.
    from mmpretrain.models.heads import ClsHead

    class MaxViTClsHead(ClsHead):
        def __init__(self, num_classes: int, in_channels: int, **others: Any):
            others.setdefault("init_cfg", dict(type="Normal", layer="Linear", std=0.02))
            super().__init__(**others)
            if num_classes < 1:
                raise ValueError(f"num_classes is the number of classes, 1 or more; got {num_classes}")
            self.num_classes = num_classes
            self.in_channels = in_channels
            self.layers = Head(in_channels, num_classes)

        def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
            # feats: maps [b, in_channels, height, width], of which the last is read; [b, in_channels] out
            return torch.tanh(self.layers.pre_logits(self.layers.norm(feats[-1].mean((2, 3)))))

        def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
            return self.layers(feats[-1])

    return MaxViTClsHead(**arguments)
