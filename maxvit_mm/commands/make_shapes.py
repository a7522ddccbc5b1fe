"""What `tools/make_shapes.py` does: make the embedded data set, and say what is in it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..data.shapes import TASKS, make_shapes


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
    print(TASKS[options.task].describe(options.folder))
