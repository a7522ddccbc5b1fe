"""MaxViT with its ImageNet head, to check converted weights on what they were trained for."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..network import Head, Trunk, find_convention, find_variant
from ..weights import CheckpointError, load_completely, read_weights


class MaxViTClassifier(nn.Module):
    """The trunk and the official head: average, LayerNorm, linear, tanh, linear.

    Args:
        arch: as for the backbone: a name, or a dict with `stem_width`, `widths` and `depths`.
        classes: the number of logits.
        partition_size: `'scaled'`, ceil(image / 32), is how every released classifier was trained.
        table_partition_size: the partition size the relative-position tables are stored for.
        convention: 'official' or 'torchvision'.

    Raises:
        ValueError: for an unknown `arch` or `convention`; the message says which are known.
    """

    def __init__(
        self,
        arch: str | dict = "tiny",
        classes: int = 1000,
        partition_size: int | str = "scaled",
        table_partition_size: int = 7,
        convention: str = "official",
    ):
        super().__init__()
        variant = find_variant(arch)
        self.trunk = Trunk(
            variant, partition_size, table_partition_size, convention=find_convention(convention)
        )
        self.head = Head(variant.widths[-1], classes)
        self.about: dict[str, Any] = {}  # what the checkpoint says of itself

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [b, 3, height, width] -> logits [b, classes]."""
        return self.head(self.trunk(images)[-1])

    @classmethod
    def from_checkpoint(cls, path: str) -> MaxViTClassifier:
        """The classifier that a converted checkpoint holds, in evaluation mode.

        Raises:
            CheckpointError: where the file was not made by `tools/convert_weights.py`, has no head, or is
                not complete.
        """
        tensors, about, _ = read_weights(path)
        if not about and any(name.startswith("backbone.") for name in tensors):
            raise CheckpointError(
                f"{path} is a detector: it finds objects and has no classification head. tools/test.py "
                f"evaluates it, and tools/predict.py runs it on images"
            )
        if not about:
            raise CheckpointError(
                f"{path} was not converted: run `python tools/convert_weights.py {path} maxvit.pth`, and "
                f"name that"
            )
        if about["classes"] is None:
            raise CheckpointError(f"{path} has no classification head: it is a backbone for detectors only")
        classifier = cls(
            {key: about[key] for key in ("stem_width", "widths", "depths")},
            about["classes"],
            table_partition_size=about["table_partition_size"],
            convention=about["convention"],
        )
        load_completely(classifier, tensors, path)
        classifier.about = about
        return classifier.eval()
