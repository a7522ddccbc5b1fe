"""What `tools/serve.py` does: a page in the browser that shows what a trained model sees."""

from __future__ import annotations

import argparse
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from ..inference.libraries import need
from ..weights import CheckpointError
from .trained import CHECKPOINT, note_differences, refuse_options, take_words

WHAT_IT_DOES = """\
Show a page on this machine: drop an image into it, and see what a model that tools/train.py trained makes of
it: a detector's objects and where it looked, a segmenter's classes of pixels, a classifier's best classes.
Ctrl+C ends it."""
STARTS = 0.3  # where the slider does
LOWEST = 0.05  # the score below which nobody wants to see what was found
HOUR = 3600


def main(argv: Sequence[str] | None = None) -> None:
    """The command line.

    Raises:
        SystemExit: with a sentence on what is the user's to mend.
    """
    args = read_arguments(argv)
    try:
        need("supervision", "gradio", doing="predictions in a browser")
        serve(args)
    except (CheckpointError, ImportError, ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage="%(prog)s [CONFIG] CHECKPOINT [options]",
        description=WHAT_IT_DOES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="+", metavar="[CONFIG] CHECKPOINT", help=CHECKPOINT)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (127.0.0.1: this machine alone)"
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen at (7860)")
    parser.add_argument(
        "--score-thr", type=float, metavar="SCORE", help="of objects: where the slider starts (0.3)"
    )
    parser.add_argument("--examples", type=Path, metavar="DIR", help="a folder of images to choose from")
    parser.add_argument("--device", help="cpu, cuda or cuda:0 (the first GPU, or the CPU)")
    parser.add_argument(
        "--max-mb", type=float, default=20, metavar="MB", help="largest file that is taken, in megabytes (20)"
    )
    parser.add_argument(
        "--max-megapixels", type=float, default=25, metavar="MP", help="largest image that is taken (25)"
    )
    parser.add_argument(
        "--max-network-megapixels",
        type=float,
        default=4,
        metavar="MP",
        help="most that the network sees of an image, after the config's resizing (4)",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="another name that visitors call this machine by (repeat it for several)",
    )
    parser.add_argument(
        "--queue", type=int, default=20, metavar="N", help="requests that wait for their turn (20)"
    )
    args = parser.parse_args(argv)
    take_words(args, parser, "", most=0)
    if args.score_thr is not None and not LOWEST <= args.score_thr <= 1:
        parser.error(f"--score-thr is {args.score_thr}: take {LOWEST} to 1")
    if not 0 < args.port < 2**16:
        parser.error(f"--port is {args.port}: take 1 to {2**16 - 1}")
    for name in ("max_mb", "max_megapixels", "max_network_megapixels", "queue"):
        if not getattr(args, name) > 0:
            parser.error(f"--{name.replace('_', '-')} is above 0")
    for name in args.name:
        if not re.fullmatch(r"[\w.-]+", name):
            parser.error(f"--name is {name}: take the name alone, such as page.example")
    return args


def serve(args: argparse.Namespace) -> None:
    """Open the checkpoint and show the page until Ctrl+C."""
    from ..inference.by_task import predictor_of, service_of  # needs MMDetection, which takes seconds
    from ..inference.opening import open_checkpoint
    from ..inference.page.pages import finder_of
    from ..inference.page.serving import LOCAL, check_free, images_in, serving
    from ..inference.page.uploads import MEGABYTE, MILLION, Limits
    from ..openmmlab.tasks import task_of

    examples = []
    if args.examples is not None:
        if not args.examples.is_dir():
            raise SystemExit(f"--examples {args.examples}: there is no such folder")
        examples = images_in(args.examples)
        if not examples:
            raise SystemExit(f"--examples {args.examples}: there are no images in this folder")
    limits = Limits(int(args.max_mb * MEGABYTE), int(args.max_megapixels * MILLION))
    check_free(args.host, args.port)  # before anything is built, which takes seconds
    most = int(args.max_network_megapixels * MILLION)
    opened = open_checkpoint(args.checkpoint, args.config)
    without = service_of(opened).without
    refuse_options(args, without, task_of(opened.config).name)
    lowest = {} if "score_thr" in without else {"score_thr": LOWEST}
    predictor = predictor_of(opened, args.device, most_pixels=most, **lowest)
    note_differences(predictor.differences, "show the page")
    finder = finder_of(predictor, limits)
    score = STARTS if args.score_thr is None else args.score_thr
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the page as Ctrl+C does
    try:
        with serving(finder, args.host, args.port, score, args.queue, examples, args.name) as address:
            print(f"the page is at {address} (Ctrl+C ends it)", flush=True)
            if args.host not in LOCAL:
                everybody = f"everybody who reaches this machine at {args.host} can use it"
                print(f"note: {everybody}: it has no password", flush=True)
            wait()
    except KeyboardInterrupt:
        print("the page is closed")


def wait() -> None:
    """Until Ctrl+C, or until the process is told to end."""
    while True:
        time.sleep(HOUR)
