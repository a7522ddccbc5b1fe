"""What `tools/make_shapes.py` does: make the embedded data set, and say what is in it."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..data.class_folder import inspect_classes
from ..data.shapes import SPLITS, TASKS, make_shapes


def describe(annotation_file: Path) -> str:
    """Images, instances of each class, and shares of COCO's sizes, in a line each."""
    coco = json.loads(annotation_file.read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    classes = Counter(names[a["category_id"]] for a in coco["annotations"])
    sizes = Counter(
        "small" if a["area"] < 32**2 else "medium" if a["area"] <= 96**2 else "large"
        for a in coco["annotations"]
    )
    images, filled = len(coco["images"]), len({a["image_id"] for a in coco["annotations"]})
    counts = ", ".join(f"{classes[name]} {name}" for name in names.values())
    total = max(1, sizes.total())
    shares = ", ".join(f"{sizes[s] / total:.0%} {s}" for s in ("small", "medium", "large"))
    return f"{annotation_file}: {images} images, {images - filled} empty\n  {counts}\n  {shares}"


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: make the data set, and say what is in it."""
    parser = argparse.ArgumentParser(
        description="Make the embedded data set: python tools/make_shapes.py data/shapes"
    )
    parser.add_argument("folder", type=Path, help="new, empty, or made by this tool before")
    parser.add_argument("--train", type=int, default=600, help="images to train on")
    parser.add_argument("--val", type=int, default=100, help="images to test on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--task",
        choices=list(TASKS),
        default="detection",
        help="scenes of shapes as COCO has them, for detectors and segmenters (detection), or one shape "
        "an image in a folder for each class (classification)",
    )
    options = parser.parse_args(argv)
    try:
        make_shapes(options.folder, options.train, options.val, options.seed, options.task)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    if options.task == "classification":
        print(inspect_classes(options.folder).describe())
        return
    for split in SPLITS:
        print(describe(options.folder / "annotations" / f"instances_{split}.json"))
