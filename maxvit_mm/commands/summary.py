"""What `tools/summary.py` does: print what configs cost."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..measure.config_cost import HEADER, NOTES, Summary, summarise
from ..network import VARIANTS
from ..network.trunk import SMALLEST_IMAGE
from .refusals import clear_refusals


def main(argv: Sequence[str] | None = None) -> list[Summary]:
    """`tools/summary.py`: print what each config costs, and a Markdown table of all."""
    parser = argparse.ArgumentParser(
        description="Parameters, multiply-adds and memory of detectors.",
        epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "config",
        nargs="+",
        help=f"config files, or names of ours; or {', '.join(VARIANTS)}: that size's ImageNet classifier",
    )
    parser.add_argument(
        "--shape",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="pixels of the image (as the config tests; 224 x 224 for a classifier)",
    )
    args = parser.parse_args(argv)
    if args.shape and min(args.shape) < SMALLEST_IMAGE:
        parser.error(f"--shape: MaxViT takes images of {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels or more")
    summaries = []
    for name in args.config:
        with clear_refusals():
            summary = summarise(name, args.shape)
        summaries.append(summary)
        print(summary.breakdown(), flush=True)
    print("", HEADER, *(summary.row() for summary in summaries), "", NOTES, sep="\n")
    return summaries
