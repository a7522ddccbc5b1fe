"""What `tools/convert_weights.py` does: any released MaxViT weights into ours, whole, or not at all."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..checkpoint import CheckpointError, Weights, read_weights, write_weights
from ..loading import TABLE, shorten
from ..network.relative_bias import resize_table
from ..version import __version__
from . import own, tensorflow, timm
from .architecture import Architecture, complete, convention_of, infer
from .normalization import IMAGE_SIZES, NORMALIZATIONS, image_size_of, normalization_of
from .origins import ORIGINS, recognise
from .translation import COUNTER

SUFFIXES = (".pth", ".safetensors")


class Converted(NamedTuple):
    """Weights of ours, and how they came to be."""

    weights: Weights
    architecture: Architecture
    title: str  # of the origin, as a reader would say it
    tensors_in: int
    note: str  # on what was chosen among the tensors of the origin


def convert(source: Path, image_size: int | None = None, normalization: str | None = None) -> Converted:
    """Read a checkpoint of any origin as one of ours.

    Args:
        source: a file, or the folder, prefix or .index file of a TensorFlow checkpoint.
        image_size: the side of the images it was trained on, in pixels, where the file cannot tell.
        normalization: 'imagenet' or 'inception', where it cannot tell that.

    Raises:
        CheckpointError: where it cannot be read, is of no known origin, or is not complete: names every
            tensor that is missing, left over, misshapen or not finite.
    """
    name, note = str(source), ""
    if tensorflow.is_checkpoint(source):
        source = tensorflow.find_prefix(source)
        read = Weights(tensorflow.read(source), {})
        chosen, note = tensorflow.select(read.tensors)
    else:
        read = read_weights(name)
        chosen = read.tensors
    origin = recognise(chosen)
    if origin is None:
        raise CheckpointError(
            f"{name} holds {len(chosen)} tensors of no MaxViT that is known ({shorten(sorted(chosen), 3)}): "
            f"it must be one of {', '.join(origin.title for origin in ORIGINS)}"
        )
    if origin.name == "timm":
        timm.check(chosen, name)

    tensors, missing, left_over = origin.translate(chosen)
    if missing or left_over:
        kinds = {"missing": missing, "left over": left_over}
        problems = [f"  {len(names)} {kind}: {shorten(names)}" for kind, names in kinds.items() if names]
        raise CheckpointError(
            "\n".join([f"{name} is no complete {origin.title}; nothing was written:", *problems])
        )
    convention = read.about.get("convention") or (
        convention_of(tensors) if origin.name == "maxvit_mm" else origin.convention
    )
    architecture = infer(tensors, name, convention)
    tensors = complete(tensors, architecture, name)
    image_size = (
        image_size or read.about.get("image_size") or image_size_of(architecture, origin.name, source)
    )
    normalization = (
        normalization or read.about.get("normalization") or normalization_of(architecture, image_size)
    )
    about = {
        **describe(architecture),
        "image_size": image_size,
        "normalization": normalization,
        "mean": NORMALIZATIONS[normalization][0] if normalization else None,
        "std": NORMALIZATIONS[normalization][1] if normalization else None,
        # What was converted before keeps its first origin.
        "origin": read.about.get("origin", origin.name),
        "source": read.about.get("source", source.name),
        "source_sha256": read.about.get("source_sha256", sha256(source)),
        "converter": f"maxvit_mm {__version__}",
    }
    title = own.describe(chosen) if origin.name == "maxvit_mm" else origin.title
    return Converted(Weights(tensors, about), architecture, title, len(chosen), note)


def describe(architecture: Architecture) -> dict[str, Any]:
    """An architecture as the file's metadata keeps it."""
    return {
        "arch": architecture.name,
        "stem_width": architecture.variant.stem_width,
        "widths": list(architecture.variant.widths),
        "depths": list(architecture.variant.depths),
        "table_partition_size": architecture.table_partition_size,
        "convention": architecture.convention,
        "classes": architecture.classes,
    }


def sha256(source: Path) -> str:
    """Of a file; of a TensorFlow checkpoint, of its files one after another, in the order of their names."""
    digest = hashlib.sha256()
    for path in [source] if source.is_file() else tensorflow.shards(source):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def to_timm(converted: Converted) -> dict[str, Tensor]:
    """The tensors under timm's names, as `maxvit_*_tf_<image size>` holds them.

    timm stores the tables at the partition size of the image, so those of another size are resized.
    """
    tensors, about = converted.weights
    if converted.architecture.convention != "official":
        raise CheckpointError("timm has no MaxViT that computes what torchvision's does: nothing was written")
    sizes = {image: partition for partition, image in IMAGE_SIZES.items()}
    partition = sizes.get(about["image_size"], converted.architecture.table_partition_size)
    tensors = {
        name: resize_table(tensor, (partition, partition)) if name.endswith(TABLE) else tensor
        for name, tensor in tensors.items()
    }
    return timm.TRANSLATION.to_theirs(tensors)


def report(converted: Converted) -> str:
    """What was found, for a reader."""
    architecture, about = converted.architecture, converted.weights.about
    variant, partition = architecture.variant, architecture.table_partition_size
    counters = sum(name.endswith(COUNTER) for name in converted.weights.tensors)
    size = (
        f"images of {about['image_size']} pixels" if about["image_size"] else "size of the images not known"
    )
    lines = {
        "origin": converted.title + (f" ({converted.note})" if converted.note else ""),
        "SHA-256": about["source_sha256"],
        "architecture": f"{architecture.name}: stem {variant.stem_width}, widths {join(variant.widths)}, "
        f"blocks {join(variant.depths)}; convention {architecture.convention}",
        "partition": f"tables of {2 * partition - 1}x{2 * partition - 1}, for partition {partition}; {size}",
        "classes": str(architecture.classes or "none: without a head"),
        "normalisation": normalization_line(about),
        "tensors": f"{converted.tensors_in} in, {len(converted.weights.tensors)} out, of these {counters} "
        f"counters of BatchNorm; all finite, none missing, none left over",
    }
    return "\n".join(f"{name:14}{text}" for name, text in lines.items())


def normalization_line(about: dict[str, Any]) -> str:
    if about["normalization"] is None:
        return "NOT KNOWN, so it cannot be checked later: tell it with --image-size or --normalization"
    return f"mean {join(about['mean'])}, std {join(about['std'])} ({about['normalization']})"


def join(numbers: Sequence[float]) -> str:
    return ", ".join(map(str, numbers))


def main(argv: Sequence[str] | None = None) -> None:
    """`tools/convert_weights.py`: the command line."""
    parser = argparse.ArgumentParser(
        description="Convert released MaxViT weights for maxvit_mm. The format of SRC is recognised: a "
        "TensorFlow checkpoint (folder, prefix or .index file), timm's maxvit_*_tf_*, torchvision's "
        "maxvit_t, our own, or a whole detector's. Every tensor is accounted for, or nothing is written."
    )
    parser.add_argument("source", metavar="SRC", type=Path)
    parser.add_argument("destination", metavar="DST", type=Path, help="a .pth or .safetensors file to write")
    parser.add_argument(
        "--to", choices=["maxvit_mm", "timm"], default="maxvit_mm", help="whose names to write"
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="the side of the images it was trained on, where neither file nor name tells",
    )
    parser.add_argument(
        "--normalization",
        choices=NORMALIZATIONS,
        help="of the images it was trained on: ImageNet's mean and std, or 127.5 and 127.5",
    )
    args = parser.parse_args(argv)
    try:
        check_destination(args.source, args.destination)
        converted = convert(args.source, args.image_size, args.normalization)
        weights = converted.weights
        if args.to == "timm":
            weights = Weights(to_timm(converted), {})
        print(report(converted))
        write_weights(args.destination, weights)
    except (CheckpointError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"{'written':14}{args.destination}, under the names of {args.to}")


def check_destination(source: Path, destination: Path) -> None:
    """Refuse a destination that cannot be written, before minutes are spent on reading."""
    if destination.suffix not in SUFFIXES:
        raise CheckpointError(f"DST {destination} must end in {' or '.join(SUFFIXES)}")
    if destination.is_dir():
        raise CheckpointError(f"DST {destination} is a folder: name a file")
    if not destination.parent.is_dir():
        raise CheckpointError(f"the folder of DST, {destination.parent}, does not exist: make it first")
    if destination.exists() and source.exists() and destination.samefile(source):
        raise CheckpointError("SRC and DST are the same file")
