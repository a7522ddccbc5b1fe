"""What `make demo` does: the embedded data set, a network trained on it, and pictures of what it finds."""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import mmcv
import numpy as np

from ..data.shapes import make_shapes
from . import test, train

SHAPES = Path("data/shapes")
SHEET = "truth_beside_prediction.png"
SHOWN = 8  # pictures on the sheet


class Demo(NamedTuple):
    """One task's demo.

    Attributes:
        work_dir: where results go, below work_dirs/, unless the user says where.
        config: the name of one of ours, whose data set lies in `folder`.
        make: makes the data set in a folder, of so many images to train on and to test on.
        metrics: what is said at the end: how a reader calls a metric, its name, and the most that it can be.
        choose: of a folder of pictures, in files, those for the sheet, best first.
    """

    work_dir: str
    config: str
    folder: Path
    make: Callable[[Path, int, int], object]
    metrics: Mapping[str, tuple[str, float]]
    choose: Callable[[Sequence[Path], Path], list[Path]]

    def report(self, metrics: Mapping[str, float]) -> str:
        return ", ".join(f"{said} {metrics[name] / most:.3f}" for said, (name, most) in self.metrics.items())


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Make the data, train, evaluate and draw; print where the pictures are. Returns the metrics."""
    parser = argparse.ArgumentParser(description="Train MaxViT on the embedded data set and look at it.")
    parser.add_argument("--task", choices=list(DEMOS), default="detection", help="what to train (detection)")
    parser.add_argument("--work-dir", type=Path, help="work_dirs/demo, or demo_TASK for another task")
    parser.add_argument("--images", type=int, nargs=2, default=(600, 100), metavar=("TRAIN", "VAL"))
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(argv)
    demo = DEMOS[args.task]
    work_dir = args.work_dir or Path("work_dirs", demo.work_dir)
    options = ["--cfg-options", *args.cfg_options] if args.cfg_options else []

    print(f"demo: making the embedded data set in {demo.folder}", flush=True)
    try:
        demo.make(demo.folder, *args.images)
    except (FileExistsError, ValueError) as error:
        raise SystemExit(f"demo: {error}") from error
    started = time.monotonic()
    train.main([demo.config, "--work-dir", str(work_dir), *options])
    minutes = (time.monotonic() - started) / 60
    print(f"demo: trained in {minutes:.1f} minutes; now evaluating and drawing", flush=True)

    checkpoint = (work_dir / "last_checkpoint").read_text().strip()
    pictures = (work_dir / "pictures").resolve()
    metrics = test.main([checkpoint, "--show-dir", str(pictures)])
    draw_sheet(demo.choose(sorted(pictures.iterdir()), demo.folder)[:SHOWN], work_dir / SHEET)
    print(f"demo: {demo.report(metrics)}")
    print(f"demo: look at {work_dir}: {SHEET}, all {args.images[1]} in pictures/, and curves.png")
    return metrics


def richest(files: Sequence[Path], folder: Path) -> list[Path]:
    """The pictures of the images with the most classes first, of equal ones the first of the names."""
    annotations = json.loads((folder / "annotations/instances_val2017.json").read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in annotations["images"]}
    classes = defaultdict(set)
    for annotation in annotations["annotations"]:
        classes[names[annotation["image_id"]]].add(annotation["category_id"])
    return sorted(files, key=lambda file: -len(classes[file.stem.partition("_")[0]]))


def spread(files: Sequence[Path], folder: Path) -> list[Path]:
    """Pictures at equal distances, of all classes: a picture's name begins with its class."""
    shown = min(SHOWN, len(files))
    return [files[place * len(files) // shown] for place in range(shown)]


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


DEMOS = {
    "detection": Demo(
        "demo",
        "mask_rcnn_maxvit_pico_shapes",
        SHAPES,
        make_shapes,
        {"bbox AP": ("coco/bbox_mAP", 1), "mask AP": ("coco/segm_mAP", 1)},
        richest,
    ),
    "segmentation": Demo(
        "demo_segmentation",
        "upernet_maxvit_pico_shapes",
        SHAPES,
        make_shapes,
        {"mIoU": ("mIoU", 100)},
        richest,
    ),
    "classification": Demo(
        "demo_classification",
        "maxvit_pico_shapes_classes",
        Path("data/shapes_classes"),
        partial(make_shapes, task="classification"),
        {"top-1": ("accuracy/top1", 100)},
        spread,
    ),
}
