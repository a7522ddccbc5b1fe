"""What `make demo` does: the embedded data set, a detector trained on it, and pictures of what it finds."""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np

from ..data.shapes import make_shapes
from . import test, train

CONFIG = "mask_rcnn_maxvit_pico_shapes"
SHEET = "truth_beside_prediction.png"
SHOWN = 8  # pictures on the sheet


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Make the data, train, evaluate and draw; print where the pictures are. Returns the metrics."""
    parser = argparse.ArgumentParser(description="Train MaxViT on the embedded data set and look at it.")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo"))
    parser.add_argument("--images", type=int, nargs=2, default=(600, 100), metavar=("TRAIN", "VAL"))
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(argv)
    options = ["--cfg-options", *args.cfg_options] if args.cfg_options else []

    print("demo: making the embedded data set in data/shapes", flush=True)
    try:
        make_shapes(Path("data/shapes"), *args.images)
    except (FileExistsError, ValueError) as error:
        raise SystemExit(f"demo: {error}") from error
    started = time.monotonic()
    train.main([CONFIG, "--work-dir", str(args.work_dir), *options])
    minutes = (time.monotonic() - started) / 60
    print(f"demo: trained in {minutes:.1f} minutes; now evaluating and drawing", flush=True)

    checkpoint = (args.work_dir / "last_checkpoint").read_text().strip()
    pictures = (args.work_dir / "pictures").resolve()
    metrics = test.main([checkpoint, "--show-dir", str(pictures)])
    draw_sheet(
        richest(pictures, Path("data/shapes/annotations/instances_val2017.json")), args.work_dir / SHEET
    )
    print(f"demo: bbox AP {metrics['coco/bbox_mAP']:.3f}, mask AP {metrics['coco/segm_mAP']:.3f}")
    print(f"demo: look at {args.work_dir}: {SHEET}, all {args.images[1]} in pictures/, and curves.png")
    return metrics


def richest(pictures: Path, annotation_file: Path) -> list[Path]:
    """The pictures of a folder whose images have the most classes, of equal ones the first."""
    annotations = json.loads(annotation_file.read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in annotations["images"]}
    classes = defaultdict(set)
    for annotation in annotations["annotations"]:
        classes[names[annotation["image_id"]]].add(annotation["category_id"])
    files = sorted(pictures.iterdir())
    return sorted(files, key=lambda file: -len(classes[file.stem.partition("_")[0]]))[:SHOWN]


def draw_sheet(pictures: Sequence[Path], path: Path) -> None:
    """Put pictures on one sheet, two in a row, truth on the left of each and prediction on the right."""
    images = [mmcv.imread(file) for file in pictures]
    height, width = np.max([image.shape[:2] for image in images], axis=0) + 12
    cells = [centred(image, height, width) for image in images]
    if len(cells) % 2:
        cells.append(np.full_like(cells[0], 255))
    rows = [cv2.hconcat(cells[i : i + 2]) for i in range(0, len(cells), 2)]
    cv2.imwrite(str(path), cv2.vconcat(rows))


def centred(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image in the middle of a white cell. image: [h, w, 3] -> [height, width, 3]."""
    down, right = height - image.shape[0], width - image.shape[1]
    top, left = down // 2, right // 2
    return cv2.copyMakeBorder(
        image, top, down - top, left, right - left, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )
