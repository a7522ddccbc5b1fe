"""What `tools/convert_weights.py` does: the command line, and the report of what was found."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..network import VARIANTS
from ..weights import (
    COUNTER,
    IMAGE_SIZES,
    NORMALIZATIONS,
    Architecture,
    CheckpointError,
    Converted,
    Weights,
    convert,
    to_mmpretrain,
    to_timm,
    write_weights,
)

SUFFIXES = (".pth", ".safetensors")
TO_OTHERS = {"timm": to_timm, "mmpretrain": to_mmpretrain}


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
        "SHA-256": converted.sha256 + first_origin(converted),
        "architecture": f"{architecture.name}; convention {architecture.convention}",
        "in a config": f"{in_a_config(architecture)}, neck in_channels={list(variant.widths)}",
        "partition": f"tables of {2 * partition - 1}x{2 * partition - 1}, for partition {partition}; {size}",
        "classes": str(architecture.classes or "none: without a head"),
        "normalisation": normalization_line(about),
        "tensors": f"{converted.tensors_in} in, {len(converted.weights.tensors)} out, of these {counters} "
        f"counters of BatchNorm; all finite, none missing, none left over",
    }
    return "\n".join(f"{name:14}{text}" for name, text in lines.items())


def in_a_config(architecture: Architecture) -> str:
    """The backbone's arguments that its weights ask for, to be pasted."""
    variant = architecture.variant
    sizes = f"dict(stem_width={variant.stem_width}, widths={variant.widths}, depths={variant.depths})"
    arguments = [f"arch={architecture.name!r}" if architecture.name in VARIANTS else f"arch={sizes}"]
    if architecture.convention != "official":
        arguments.append(f"convention={architecture.convention!r}")
    return ", ".join(arguments)


def first_origin(converted: Converted) -> str:
    about = converted.weights.about
    if about["source_sha256"] == converted.sha256:
        return ""
    return f"\n{'':14}first converted from {about['source']} ({about['origin']}), {about['source_sha256']}"


def normalization_line(about: dict[str, Any]) -> str:
    if about["normalization"] is None:
        options = "--normalization" if about["image_size"] else "--image-size or --normalization"
        return f"NOT KNOWN, so it cannot be checked later: tell it with {options}"
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
        "--to",
        choices=["maxvit_mm", *TO_OTHERS],
        default="maxvit_mm",
        help="whose names to write: of mmpretrain, those of a whole classifier of our configs",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        choices=sorted(IMAGE_SIZES.values()),
        help="the side of the images it was trained on, where neither file nor name tells",
    )
    parser.add_argument(
        "--normalization",
        choices=NORMALIZATIONS,
        help="of the images it was trained on: ImageNet's mean and std, or 127.5 and 127.5",
    )
    parser.add_argument(
        "--no-average",
        action="store_true",
        help="of a training's checkpoint with weights and their moving average (EMA) take the weights",
    )
    args = parser.parse_args(argv)
    try:
        check_destination(args.source, args.destination)
        converted = convert(args.source, args.image_size, args.normalization, not args.no_average)
        weights = converted.weights
        if args.to in TO_OTHERS:
            weights = Weights(TO_OTHERS[args.to](converted), {})
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
    if not os.access(destination.parent, os.W_OK):
        raise CheckpointError(f"the folder of DST, {destination.parent}, is not yours to write to")
    if destination.exists() and source.exists() and destination.samefile(source):
        raise CheckpointError("SRC and DST are the same file")
