"""What `tools/attention.py` does: show where a model looked, and how far its maps can be believed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..weights import CheckpointError
from .trained import CHECKPOINT, note_differences, take_words

if TYPE_CHECKING:
    from ..inference.explaining import Place
    from ..inference.looking import Looked, Looker
    from ..inference.sources import Frame

WHAT_IT_DOES = """\
Show where a model that tools/train.py trained looked in an image: attention of one block, attention rolled
out through blocks and stages, what raised a score (Grad-CAM), and the effective receptive field. A detector's
maps are for an object, a segmenter's for the pixels of a class, a classifier's for a class."""


def main(argv: Sequence[str] | None = None) -> None:
    """The command line.

    Raises:
        SystemExit: with a sentence on what is the user's to mend.
    """
    args = read_arguments(argv)
    try:
        if args.faithfulness:
            measure(args)
        else:
            check_out(args.out, args.force)
            draw(args)
    except (CheckpointError, ImportError, ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage="%(prog)s [CONFIG] CHECKPOINT IMAGE [options]",
        description=WHAT_IT_DOES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="[CONFIG] CHECKPOINT IMAGE",
        help=f"{CHECKPOINT}, and an image",
    )
    places = parser.add_mutually_exclusive_group()
    places.add_argument("--at", type=point, metavar="X,Y", help="look from this place, in pixels")
    places.add_argument(
        "--box", type=int, metavar="K", help="look from the K-th that was found, the best is 1 (1)"
    )
    parser.add_argument(
        "--class", dest="name", metavar="NAME", help="look for this class alone, whatever its score"
    )
    parser.add_argument("--stage", type=int, default=3, metavar="S", help="stage 1 to 4 (3)")
    parser.add_argument("--block", type=int, metavar="B", help="block of the stage, from 1 (the last)")
    parser.add_argument("--head", type=int, metavar="H", help="one head, from 1 (the mean of all)")
    parser.add_argument(
        "--maps",
        nargs="+",
        metavar="MAP",
        choices=("block", "grid", "rollout", "stages", "gradient", "local", "field"),
        help="which maps: block, grid, rollout, stages, gradient, local, field (all)",
    )
    parser.add_argument(
        "--score-thr", type=float, metavar="SCORE", help="the lowest score (0.3 of objects, else 0)"
    )
    parser.add_argument("--device", help="cpu, cuda or cuda:0 (the first GPU, or the CPU)")
    parser.add_argument("--out", type=Path, default=Path("attention.png"), help="the picture (attention.png)")
    parser.add_argument("--force", action="store_true", help="write over that file")
    parser.add_argument(
        "--faithfulness",
        action="store_true",
        help="draw nothing; measure by deletion and insertion how far each map can be believed, over all "
        "that is found in IMAGE, which may be a folder",
    )
    args = parser.parse_args(argv)
    take_words(args, parser, ", and after it one image", most=1)
    (args.image,) = args.words
    for name in ("box", "stage", "block", "head"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name} counts from 1")
    if args.score_thr is not None and not 0 <= args.score_thr <= 1:
        parser.error(f"--score-thr is {args.score_thr}: scores are from 0 to 1")
    if args.at and {"gradient", "local"} & set(args.maps or ()):
        parser.error("gradient and local explain a score: take --box K in place of --at")
    if args.at and args.name:
        parser.error("--at is a place, whatever is there: leave out --class")
    if args.faithfulness and (args.at or args.box or args.block or args.head):
        parser.error("--faithfulness takes all that is found and the mean of heads: leave out --at, --box, "
                     "--block and --head")  # fmt: skip
    return args


def point(text: str) -> tuple[float, float]:
    try:
        x, y = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no place: write it as 120,80 (x,y)") from None
    return x, y


def check_out(out: Path, force: bool) -> None:
    from ..inference.attention_pictures import FORMATS

    if out.suffix.lower() not in FORMATS:
        raise SystemExit(f"--out {out}: a picture's name ends in {', '.join(FORMATS)}")
    if out.is_dir() or not out.parent.is_dir():
        raise SystemExit(f"--out {out}: name a file in a folder that is there")
    if out.exists() and not force:
        raise SystemExit(f"{out} is there: name another file with --out, or write over it with --force")


def frames_in(args: argparse.Namespace, looker: Looker) -> list[Frame]:
    """The images that are named, which are read before anything else is done with them."""
    from ..inference.sources import frames_of, sources_of

    sources = sources_of([args.image])
    if any(source.kind != "image" for source in sources):
        raise SystemExit(f"{args.image} is or has a video: take a single frame, as an image")
    if len(sources) > 1 and not args.faithfulness:
        raise SystemExit(f"{args.image} has {len(sources)} images: name one of them")
    return list(frames_of(sources, looker.decoder))


def check_there(args: argparse.Namespace) -> None:
    """Refuse what is not there before anything is built, which takes seconds."""
    from ..inference.sources import sources_of

    sources_of([args.image])


def looker_for(args: argparse.Namespace) -> Looker:
    from ..data.images_on_disk import IMAGE_SUFFIXES
    from ..inference.looking import Looker  # needs MMDetection, which takes seconds

    if args.checkpoint.lower().endswith(IMAGE_SUFFIXES):
        raise SystemExit(f"{args.checkpoint} is no checkpoint: name one before the image")
    check_there(args)
    looker = Looker.from_checkpoint(args.checkpoint, args.config, args.device)
    note_differences(looker.differences, "look")
    return looker


def draw(args: argparse.Namespace) -> None:
    """One picture of one image."""
    from ..inference.attention_pictures import picture, save
    from ..inference.explaining import GRADIENTS, KINDS, explain

    looker = looker_for(args)
    (frame,) = frames_in(args, looker)
    looked = looker.look(frame.image, args.score_thr, args.name)
    for number, found in enumerate(looked.found, 1):
        print(f"{number}: {found.name} {found.score:.2f} at ({found.centre[0]:.0f}, {found.centre[1]:.0f})")
    place, words = place_for(args, looked)
    kinds = args.maps or [kind for kind in KINDS if kind not in GRADIENTS or not args.at]
    maps = explain(
        looker,
        looked,
        place,
        kinds,
        args.stage - 1,
        -1 if args.block is None else args.block - 1,
        None if args.head is None else args.head - 1,
    )
    save(
        picture(frame.image, place, maps, f"Where the {looked.evidence.trained} looked from {words}"),
        args.out,
    )
    print(f"the picture is {args.out}")


def place_for(args: argparse.Namespace, looked: Looked) -> tuple[Place, str]:
    """The place that is asked for, and what to call it."""
    if args.at:
        return args.at, f"({args.at[0]:g}, {args.at[1]:g})"
    number, there = args.box or 1, len(looked.found)
    if not there:
        raise SystemExit(f"{nothing(args, looked)}, or name a place with --at X,Y")
    if number > there:
        raise SystemExit(f"--box {number}: {there} found, so take 1 to {there}, or a lower --score-thr")
    found = looked.found[number - 1]
    return found, looked.evidence.words(found)


def nothing(args: argparse.Namespace, looked: Looked) -> str:
    """Why there is nothing to look from, and what to do."""
    if args.name is not None:
        return f"no {args.name} was found: name another --class"
    least = looked.evidence.lowest if args.score_thr is None else args.score_thr
    return f"nothing was found with a score of {least:g} or more: lower --score-thr"


def measure(args: argparse.Namespace) -> None:
    """The table of deletion and insertion over all that is found in all images."""
    from ..inference.explaining import KINDS, numbered
    from ..inference.faithfulness import compare, table

    looker = looker_for(args)
    frames = frames_in(args, looker)
    numbered(looker.trunk.stages, args.stage - 1, "the network", "stage")
    looks = [looker.look(frame.image, args.score_thr, args.name) for frame in frames]
    cases = [(looked, found) for looked in looks for found in looked.found]
    if not cases:
        raise SystemExit(nothing(args, looks[0]))
    results = [
        compare(looker, looked, found, args.stage - 1, args.maps or KINDS, seed)
        for seed, (looked, found) in enumerate(tqdm(cases, unit=" cases", disable=None))
    ]
    print(
        f"{len(cases)} found in {len(frames)} images, stage {args.stage}; 1 is the score of the whole image"
    )
    print(table(results))
