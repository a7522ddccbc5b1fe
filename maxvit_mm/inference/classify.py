"""A classifier in use: its best guesses for images, and its accuracy over a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmengine.utils import ProgressBar
from torch.utils.data import DataLoader

from ..openmmlab.classifier import MaxViTClassifier
from .imagenet import labelled_images
from .images import Images


def top_5(
    classifier: MaxViTClassifier, paths: Sequence[Path], size: int | None = None
) -> list[list[tuple[float, int]]]:
    """For each image its five most probable classes, as (probability, index)."""
    images = Images(paths, classifier, size)
    device = next(classifier.parameters()).device
    found = []
    for image in (images[i] for i in range(len(images))):
        probabilities = classifier(image[None].to(device)).softmax(1)[0]
        values, indices = probabilities.topk(min(5, len(probabilities)))
        found.append(list(zip(values.tolist(), indices.tolist(), strict=True)))
    return found


def accuracy(
    classifier: MaxViTClassifier,
    folder: Path,
    size: int | None = None,
    batch_size: int = 32,
    workers: int = 2,
) -> tuple[float, float, int]:
    """Top-1 and top-5 accuracy, as fractions, over a folder in ImageNet's layout, and how many images."""
    paths, labels = labelled_images(folder, classifier.head.logits.out_features)
    device = next(classifier.parameters()).device
    right_1 = right_5 = done = 0
    bar = ProgressBar(len(paths))
    for images in DataLoader(Images(paths, classifier, size), batch_size, num_workers=workers):
        logits = classifier(images.to(device)).cpu()
        right = logits.topk(min(5, logits.shape[1])).indices == labels[done : done + len(images), None]
        right_1 += int(right[:, 0].sum())
        right_5 += int(right.sum())
        done += len(images)
        bar.update(len(images))
    print()
    return right_1 / done, right_5 / done, done
