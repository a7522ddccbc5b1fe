"""What `tools/export.py` does: write a trained model as an ONNX file, and compare it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..inference.libraries import need
from ..weights import CheckpointError
from .options import add_cfg_options
from .trained import CHECKPOINT, note_differences, take_words

OLDEST_OPSET, NEWEST_OPSET, OPSET = 18, 23, 18
WHAT_IT_DOES = """\
Write a detector, segmenter or classifier that tools/train.py trained as an ONNX file, for any batch, height
and width. ONNX Runtime then runs it beside PyTorch, and what both say is compared. A file that differs is
not kept."""


def main(argv: Sequence[str] | None = None) -> None:
    """The command line.

    Raises:
        SystemExit: with a sentence on what is the user's to mend, or on what the file does otherwise.
    """
    args = read_arguments(argv)
    out = Path(args.out)
    if out.suffix.lower() != ".onnx":
        raise SystemExit(f"{out}: the name of an ONNX file ends in .onnx")
    if out.is_dir() or not out.parent.is_dir():
        raise SystemExit(f"{out}: name a file in a folder that is there")
    if out.exists() and not args.force:
        raise SystemExit(f"{out} is there: name another file, or write over it with --force")
    try:
        need("onnx", "onnxscript", "onnxruntime", doing="ONNX files")
        run(args, out)
    except (CheckpointError, ImportError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(f"{out} has {out.stat().st_size / 2**20:.1f} MiB")


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage="%(prog)s [CONFIG] CHECKPOINT OUT.onnx [options]",
        description=WHAT_IT_DOES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="[CONFIG] CHECKPOINT OUT.onnx",
        help=f"{CHECKPOINT}, and the file to write",
    )
    parser.add_argument("--backbone", action="store_true", help="the maps of the backbone alone")
    parser.add_argument("--fp16", action="store_true", help="layers in half precision: half the file")
    parser.add_argument(
        "--opset",
        type=int,
        default=OPSET,
        choices=range(OLDEST_OPSET, NEWEST_OPSET + 1),
        metavar="N",
        help=f"the version of ONNX's operators, {OLDEST_OPSET} to {NEWEST_OPSET} ({OPSET})",
    )
    parser.add_argument("--images", nargs="+", default=[], metavar="FILE", help="compare on these images too")
    add_cfg_options(parser, "model.test_cfg.mode=whole")
    parser.add_argument("--force", action="store_true", help="write over OUT.onnx")
    args = parser.parse_args(argv)
    take_words(args, parser, ", and after it the file to write", most=1)
    (args.out,) = args.words
    return args


def run(args: argparse.Namespace, out: Path) -> None:
    from ..inference.exporting.export import export  # needs MMDetection, which takes seconds
    from ..inference.opening import open_checkpoint
    from ..inference.sources import frames_of, sources_of
    from ..openmmlab.config_checks import check_options
    from .launch import with_options

    sources = sources_of(args.images)
    opened = open_checkpoint(args.checkpoint, args.config)
    note_differences(opened.differences, "export it")
    check_options(opened.config, args.cfg_options or {})
    opened = opened._replace(config=with_options(opened.config, args.cfg_options))
    given = [frame.image for frame in frames_of(sources, opened.decoder)]
    print("writing the graph, which takes a minute or several", flush=True)
    export(opened, out, args.opset, args.backbone, args.fp16, given, print)
