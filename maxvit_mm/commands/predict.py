"""What `tools/predict.py` does: look at images and videos that nobody has annotated, whatever the task."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..inference.libraries import need
from ..weights import CheckpointError, shorten
from .trained import CHECKPOINT, given, note_differences, refuse_options, take_words

if TYPE_CHECKING:
    from ..inference.outputs import Outputs
    from ..inference.predictor import Predictor
    from ..inference.sources import Complain, Source

WHAT_IT_DOES = """\
Look at images, videos, folders, patterns ('photos/*.jpg'), text files with a path a line, cameras (camera:0)
and streams (rtsp://...), with what tools/train.py trained. A detector finds objects, a segmenter gives each
pixel a class, a classifier each image."""
# What only some tasks take; where it is not given, their own values stand.
OF_PREDICTOR = ("score_thr", "tile", "overlap")
OF_OUTPUTS = ("crops", "ids_of", "track")


def main(argv: Sequence[str] | None = None) -> None:
    """The command line.

    Raises:
        SystemExit: with a sentence on what is the user's to mend; at the end, with the sources that could not
            be read.
    """
    args = read_arguments(argv)
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise SystemExit(f"--out {out} is a file: name a folder")
    if out.is_dir() and any(out.iterdir()) and not args.force:
        raise SystemExit(f"{out} is not empty: name another folder with --out, or write over it with --force")
    unread: dict[str, str] = {}
    try:
        need("supervision", *(["trackers"] if args.track else []))
        predict(args, out, unread)
    except (CheckpointError, ImportError, ValueError) as error:
        raise SystemExit(str(error)) from error
    except OSError as error:
        raise SystemExit(f"{error}; what was written before is in {out}") from error
    if unread:
        lines = "\n".join(f"  {name} {why}" for name, why in unread.items())
        raise SystemExit(f"could not be read:\n{lines}")


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage="%(prog)s [CONFIG] CHECKPOINT SOURCE... [options]",
        description=WHAT_IT_DOES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="[CONFIG] CHECKPOINT SOURCE",
        help=f"{CHECKPOINT}, and where images come from",
    )
    parser.add_argument("--out", metavar="DIR", default="predictions", help="for all results (predictions)")
    parser.add_argument("--force", action="store_true", help="write over what is in the folder of --out")
    parser.add_argument("--recursive", action="store_true", help="look into folders within folders")
    parser.add_argument("--score-thr", type=float, metavar="SCORE", help="of objects: the lowest score (0.3)")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="only these classes")
    parser.add_argument("--batch-size", type=int, default=1, help="images a step (1)")
    parser.add_argument("--device", help="cpu, cuda or cuda:0 (the first GPU, or the CPU)")
    parser.add_argument("--amp", action="store_true", help="mixed precision: faster on GPUs")
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="cut large images into tiles of this side")
    parser.add_argument(
        "--overlap",
        type=float,
        metavar="PART",
        help="of a tile that the next shares (0.2)",
    )
    parser.add_argument("--tta", action="store_true", help="merge the image's and its mirror's results")
    parser.add_argument("--track", action="store_true", help="number objects through a video")
    parser.add_argument("--no-pictures", action="store_true", help="write no pictures and no videos")
    parser.add_argument("--csv", action="store_true", help="write predictions.csv as well")
    parser.add_argument("--crops", action="store_true", help="cut out each object")
    parser.add_argument(
        "--ids-of",
        type=Path,
        metavar="FILE.json",
        help="take the ids of images and classes from this file in COCO's format, to evaluate against it",
    )
    args = parser.parse_args(argv)
    take_words(args, parser, ", and after it what to look at", most=inf)
    return args


def predict(args: argparse.Namespace, out: Path, unread: dict[str, str]) -> None:
    """Look at all sources, and write the results; `unread` gets those that cannot be read, and why."""
    from ..data.images_on_disk import IMAGE_SUFFIXES
    from ..inference.by_task import predictor_of, service_of  # needs MMDetection, which takes seconds
    from ..inference.opening import open_checkpoint
    from ..inference.outputs import would_overwrite
    from ..inference.sources import VIDEOS, sources_of
    from ..openmmlab.tasks import task_of

    if args.checkpoint.lower().endswith((*IMAGE_SUFFIXES, *VIDEOS)):
        raise SystemExit(f"{args.checkpoint} is no checkpoint: name one before what to look at")

    complain = unread.__setitem__
    sources = sources_of(args.words, args.recursive, complain)
    if lost := would_overwrite(out, sources):
        raise SystemExit(
            f"--out {out}: pictures would be written over {shorten(lost, 3)}: name another folder"
        )
    earlier = [source.name for source in sources if is_in(out, source.name)]
    if earlier:
        print(f"note: left out, as results of an earlier run: {shorten(earlier, 3)}")
        sources = [source for source in sources if source.name not in earlier]
    if args.ids_of is not None and not args.ids_of.is_file():
        raise SystemExit(f"--ids-of {args.ids_of}: there is no such file")
    if not sources:
        return
    opened = open_checkpoint(args.checkpoint, args.config)
    service = service_of(opened)
    refuse_options(args, service.without, task_of(opened.config).name)
    predictor = predictor_of(
        opened,
        args.device,
        classes=args.classes,
        batch_size=args.batch_size,
        amp=args.amp,
        tta=args.tta,
        **given(args, OF_PREDICTOR),
    )
    note_differences(predictor.differences, "predict")
    outputs = service.outputs(out, predictor, not args.no_pictures, args.csv, **given(args, OF_OUTPUTS))
    start = time.monotonic()
    with outputs:
        try:
            look(predictor, sources, outputs, complain)
        except KeyboardInterrupt:
            raise SystemExit(f"interrupted; what was found before is in {out}") from None
    images, seconds = outputs.images, time.monotonic() - start
    if not images:
        outputs.discard()
        return
    rate = images / max(seconds, 1e-9)
    print(f"{images} images in {seconds:.1f} s ({rate:.1f} images/s): {outputs.describe()}")
    for note in outputs.notes():
        print(f"note: {note}")
    print(f"results are in {out}")


def look(predictor: Predictor, sources: list[Source], outputs: Outputs, complain: Complain) -> None:
    """All sources through the network, and written, with a line of progress."""
    from ..inference.sources import frames_of

    images = sum(source.kind == "image" for source in sources)
    frames = frames_of(sources, predictor.decoder, complain)
    with tqdm(total=images or None, unit=" images", disable=None, dynamic_ncols=True) as bar:
        for frame, found in predictor.look_at(frames, complain):
            if frame.number == 0 and frame.frames:
                bar.total = (bar.total or 0) + frame.frames
            outputs.add(frame, found)
            bar.update()


def is_in(folder: Path, name: str) -> bool:
    """Whether a source is a result of an earlier run."""
    return folder.resolve() in Path(name).resolve().parents
