"""What `tools/classify.py` does: try converted ImageNet weights on images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ..inference.classify import accuracy, top_5
from ..inference.imagenet import imagenet_classes
from ..inference.images import ImageError
from ..network.trunk import SMALLEST_IMAGE
from ..openmmlab.classifier import MaxViTClassifier
from ..openmmlab.official_crop import PREPROCESSING
from ..weights import CheckpointError

WHAT_IT_DOES = f"""\
Classify images with converted MaxViT weights, at the resolution they were trained on or another.

{PREPROCESSING}"""


def main(argv: Sequence[str] | None = None) -> None:
    """`tools/classify.py`: the command line."""
    parser = argparse.ArgumentParser(
        description=WHAT_IT_DOES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", metavar="IMAGE", nargs="*", type=Path)
    parser.add_argument("--checkpoint", required=True, help="a file that tools/convert_weights.py wrote")
    parser.add_argument(
        "--val", type=Path, metavar="DIR", help="evaluate a folder in ImageNet's layout: DIR/<class>/<image>"
    )
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="other than it was trained on")
    parser.add_argument("--batch-size", type=int, default=32, help="with --val (32)")
    parser.add_argument("--workers", type=int, default=2, help="processes that read images, with --val (2)")
    args = parser.parse_args(argv)
    if bool(args.images) == bool(args.val):
        parser.error("name images, or a folder with --val")
    if args.image_size is not None and args.image_size < SMALLEST_IMAGE:
        parser.error(f"--image-size must be {SMALLEST_IMAGE} pixels or more")
    try:
        classifier = MaxViTClassifier.from_checkpoint(args.checkpoint)
        classifier.to("cuda" if torch.cuda.is_available() else "cpu")
        with torch.inference_mode():
            if args.val:
                report_accuracy(
                    *accuracy(classifier, args.val, args.image_size, args.batch_size, args.workers)
                )
            else:
                report_top_5(args.images, top_5(classifier, args.images, args.image_size), classifier)
    except (CheckpointError, ImageError) as error:
        # A process that reads images sends its traceback along, with the message at its end.
        sys.exit(f"error: {str(error).rpartition('ImageError: ')[2]}")


def report_accuracy(top1: float, top5: float, images: int) -> None:
    print(f"top-1 {100 * top1:.2f} %, top-5 {100 * top5:.2f} % of {images} images")


def report_top_5(
    paths: Sequence[Path], found: list[list[tuple[float, int]]], classifier: MaxViTClassifier
) -> None:
    classes = classifier.head.logits.out_features
    names = imagenet_classes()[1] if classes == 1000 else [f"class {i}" for i in range(classes)]
    for path, best in zip(paths, found, strict=True):
        print(path)
        for probability, index in best:
            print(f"  {probability:.3f}  {names[index]}")
