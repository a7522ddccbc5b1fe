"""What `tools/classify.py` does: try converted ImageNet weights on images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmengine.utils import ProgressBar
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..network.trunk import SMALLEST_IMAGE
from ..openmmlab.classifier import MaxViTClassifier
from ..weights import CheckpointError, shorten

CLASSES = Path(__file__).with_name("imagenet_1k.txt")
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
CROP_MARGIN = 32  # pixels that the official evaluation leaves around a crop of 224
CROPPED_SIZE = 224  # weights for larger images were trained and evaluated on whole ones
WHAT_IT_DOES = f"""\
Classify images with converted MaxViT weights, at the resolution they were trained on or another.

Preprocessing is the official one: for weights of {CROPPED_SIZE} pixels the central square of
{CROPPED_SIZE} / {CROPPED_SIZE + CROP_MARGIN} of the shorter side is cut out and resized (of all of it for
torchvision's weights); for 384 and 512 the whole image is squashed into a square. All bicubic; then
normalised by the mean and deviation that the checkpoint states.
"""


class ImageError(ValueError):
    """An image or a folder of images that cannot be used; the message says which and why."""


def imagenet_classes() -> tuple[list[str], list[str]]:
    """WordNet ids and names of the 1000 classes, in the order of their index."""
    lines = [line.split(maxsplit=1) for line in CLASSES.read_text().splitlines() if not line.startswith("#")]
    return [wnid for wnid, _ in lines], [name for _, name in lines]


def preprocess(image: np.ndarray, size: int, trained_size: int, margin: int = CROP_MARGIN) -> np.ndarray:
    """[height, width, 3] in any size -> [size, size, 3], cropped or squashed as `WHAT_IT_DOES` says."""
    if trained_size <= CROPPED_SIZE:
        height, width = image.shape[:2]
        side = int(min(height, width) * trained_size / (trained_size + margin))
        top, left = (height - side + 1) // 2, (width - side + 1) // 2
        image = image[top : top + side, left : left + side]
    return mmcv.imresize(image, (size, size), interpolation="bicubic")


class Images(Dataset):
    """Images from disk, preprocessed and normalised: [3, size, size] each."""

    def __init__(self, paths: Sequence[Path], classifier: MaxViTClassifier, size: int | None = None):
        about = classifier.about
        if about["image_size"] is None or about["mean"] is None:
            raise CheckpointError(
                "the checkpoint does not say on what size of images and with what normalisation it was "
                "trained: convert it again with --image-size and --normalization"
            )
        self.paths = list(paths)
        self.trained_size = about["image_size"]
        self.size = size or self.trained_size
        self.margin = 0 if about["convention"] == "torchvision" else CROP_MARGIN
        self.mean, self.std = (np.array(about[key], np.float32) for key in ("mean", "std"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        # cv2 gives None for what is no image, and mmcv a traceback for what is no file.
        image = cv2.imread(str(path)) if path.is_file() else None
        if image is None:
            raise ImageError(f"{path} is {'no image that can be read' if path.exists() else 'not there'}")
        image = preprocess(image[..., ::-1], self.size, self.trained_size, self.margin)
        return torch.from_numpy((image - self.mean) / self.std).permute(2, 0, 1)


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


def labelled_images(folder: Path, classes: int) -> tuple[list[Path], Tensor]:
    """The images of a folder in ImageNet's layout, `folder/<class>/<image>`, and the index of each's class.

    Of ImageNet-1k, folders are WordNet ids and some may be missing. Of other classifiers there is a folder
    for every class, in alphabetical order.

    Raises:
        ImageError: where the folders do not fit the classes, or there is no image.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    ids = imagenet_classes()[0] if classes == 1000 else names
    unknown = sorted(set(names) - set(ids))
    if not names or unknown or len(ids) != classes:
        found = f"unknown folders {shorten(unknown, 3)}" if unknown else f"{len(names)} folders"
        raise ImageError(
            f"{folder} has {found}, where {classes} classes need a folder each"
            + (", named by its WordNet id (n01440764, ...)" if classes == 1000 else "")
        )
    index = {name: i for i, name in enumerate(ids)}
    pairs = [
        (path, index[name])
        for name in names
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not pairs:
        raise ImageError(f"{folder} has folders but no image in them ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return [path for path, _ in pairs], torch.tensor([label for _, label in pairs])


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
