"""A classifier's test as one graph of tensors: pixels in, the probability of each class out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModel
from mmpretrain.models import ClsHead, GlobalAveragePooling, ImageClassifier, LinearClsHead
from torch import Tensor, nn

from ...weights import CheckpointError
from .graph import OURS
from .pixels import Prepared, dtype_of, why_not_pixels


class ClassifierGraph(nn.Module):
    """A classifier, from pixels to probabilities.

    Raises:
        CheckpointError: names what of the classifier cannot be exported.
    """

    inputs, outputs = ("images", "sizes"), ("scores",)

    def __init__(self, model: Any):
        super().__init__()
        if reason := why_not(model):
            raise CheckpointError(
                f"{reason} cannot be exported; an ImageClassifier with LinearClsHead or MaxViTClsHead can, "
                "with GlobalAveragePooling or without a neck"
            )
        self.prepared, self.model = Prepared(model.data_preprocessor), model

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor]:
        """images: uint8, [b, 3, height, width], BGR. sizes: [b, 2], each image's own height and width.

        Returns:
            probabilities [b, classes].
        """
        x = self.prepared(images, sizes).to(dtype_of(self.model.backbone))
        return (self.model.head(self.model.extract_feat(x)).float().softmax(1),)


def why_not(model: Any) -> str | None:
    """What of a classifier cannot be exported, by name; None if all can."""
    if type(model) is not ImageClassifier:
        return type(model).__name__
    if reason := why_not_pixels(model):
        return reason
    if model.with_neck and type(model.neck) is not GlobalAveragePooling:
        return type(model.neck).__name__
    head = model.head
    ours = isinstance(head, ClsHead) and type(head).__module__.startswith(OURS)
    return None if ours or type(head) is LinearClsHead else type(head).__name__


def of_pytorch(model: BaseModel, data: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Labels [b] and probabilities [b, classes] of images."""
    samples = model.test_step(data)
    labels = torch.cat([sample.pred_label for sample in samples])
    return labels, torch.stack([sample.pred_score for sample in samples])


def of_onnx(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The same of a file's output."""
    return scores.argmax(1), scores
