"""Any released MaxViT weights into ours, whole, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..network.relative_bias import resize_table
from ..version import __version__
from . import mmpretrain, own, tensorflow, timm
from .architecture import Architecture, complete, convention_of, infer
from .checkpoint import CheckpointError
from .file import Weights, read_weights
from .loading import TABLE, shorten
from .normalization import (
    IMAGE_SIZES,
    NORMALIZATIONS,
    image_size_in,
    image_size_of,
    normalization_of,
)
from .origins import ORIGINS, recognise
from .wrappings import is_average


class Converted(NamedTuple):
    """Weights of ours, and how they came to be."""

    weights: Weights
    architecture: Architecture
    title: str  # of the origin, as a reader would say it
    sha256: str  # of what was read
    tensors_in: int
    note: str  # on what was chosen among the tensors of the origin


def convert(
    source: Path, image_size: int | None = None, normalization: str | None = None, average: bool = True
) -> Converted:
    """Read a checkpoint of any origin as one of ours.

    Args:
        source: a file, or the folder, prefix or .index file of a TensorFlow checkpoint.
        image_size: the side of the images it was trained on, in pixels, where the file does not tell.
        normalization: 'imagenet' or 'inception', where it does not tell that.
        average: of weights and their moving average take the average; of TensorFlow's always.

    Raises:
        CheckpointError: where it cannot be read, is of no known origin, or is not complete: names every
            tensor that is missing, left over, misshapen or not finite. Where `image_size` or `normalization`
            contradict what the file tells.
    """
    name = str(source)
    if tensorflow.is_checkpoint(source):
        source = tensorflow.find_prefix(source)
        found, note = tensorflow.read(source)
        before: dict[str, Any] = {}
    else:
        found, before, note = read_weights(name, average=average)
    origin = recognise(found)
    if origin is None:
        found, outside = below_a_prefix(found, name, average)
        note = "; ".join(filter(None, [note, outside]))
        origin = recognise(found)
    if origin is None:
        raise CheckpointError(
            f"{name} holds {len(found)} tensors of no MaxViT that is known ({shorten(sorted(found), 3)}): "
            f"it must be one of {', '.join(origin.title for origin in ORIGINS)}"
        )
    if origin.name == "timm":
        timm.check(found, name)
    tensors, missing, left_over = origin.translate(found)
    if missing or left_over:
        kinds = {"missing": missing, "left over": left_over}
        problems = [f"  {len(names)} {kind}: {shorten(names)}" for kind, names in kinds.items() if names]
        raise CheckpointError(
            "\n".join([f"{name} is no whole MaxViT of {origin.title}; nothing was written:", *problems])
        )
    tensors = without_half_a_head(tensors)
    convention = before.get("convention") or (
        convention_of(tensors) if origin.name == "maxvit_mm" else origin.convention
    )
    architecture = infer(tensors, name, convention)
    digest = sha256(source)
    about = {
        **describe(architecture),
        **trained_on(architecture, origin.name, source, before, image_size, normalization),
        # What was converted before keeps its first origin.
        "origin": before.get("origin", origin.name),
        "source": before.get("source", source.name),
        "source_sha256": before.get("source_sha256", digest),
        "converter": f"maxvit_mm {__version__}",
    }
    title = own.describe(found) if origin.name == "maxvit_mm" else origin.title
    weights = Weights(complete(tensors, architecture, name), about)
    return Converted(weights, architecture, title, digest, len(found), note)


def below_a_prefix(tensors: dict[str, Tensor], source: str, average: bool) -> tuple[dict[str, Tensor], str]:
    """The network among other tensors, such as a loss's: its names begin alike.

    Args:
        average: of weights and their moving average, one below each beginning, take the average.

    Returns:
        its tensors without that beginning, and a note on the others; where there is none, all as they are.

    Raises:
        CheckpointError: where there are several.
    """
    beginnings = {".".join(name.split(".")[:depth]) + "." for name in tensors for depth in (1, 2, 3)}
    found = {}
    for beginning in sorted(beginnings, key=len):
        inside = {n.removeprefix(beginning): t for n, t in tensors.items() if n.startswith(beginning)}
        if recognise(inside) is not None:
            found[beginning] = inside
    if not found:
        return tensors, ""
    among = ""
    if len(found) == 2 and len({is_average(beginning) for beginning in found}) == 2:
        among = "the average, " if average else "the raw weights, "
        found = {b: inside for b, inside in found.items() if is_average(b) == average}
    if len(found) > 1:
        raise CheckpointError(
            f"{source} holds {len(found)} MaxViTs, below {', '.join(sorted(found))}: keep one of them"
        )
    ((beginning, inside),) = found.items()
    others = len(tensors) - len(inside)
    return inside, f"{among}what is below '{beginning}'; {others} other tensors were left out"


def without_half_a_head(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm keeps the norm and the first layer of a head whose classes were taken off: no head, then."""
    if any(name.startswith("head.logits.") for name in tensors):
        return tensors
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}


def trained_on(
    architecture: Architecture,
    origin: str,
    source: Path,
    before: dict[str, Any],
    image_size: int | None,
    normalization: str | None,
) -> dict[str, Any]:
    """Image size and normalisation for the metadata: what the file tells, else the user, else the name."""
    told = before.get("image_size") or image_size_of(architecture, origin)
    refuse_contradiction("--image-size", image_size, told)
    if origin == "tensorflow":  # whose names alone tell
        told = told or image_size or image_size_in(source)
    image_size = told or image_size
    known = before.get("normalization") or normalization_of(architecture, image_size)
    refuse_contradiction("--normalization", normalization, known)
    normalization = known or normalization
    mean, std = NORMALIZATIONS.get(normalization or "", (None, None))
    return {"image_size": image_size, "normalization": normalization, "mean": mean, "std": std}


def refuse_contradiction(option: str, given: Any, told: Any) -> None:
    if given and told and given != told:
        raise CheckpointError(f"{option} {given}: the checkpoint itself tells {told}; leave the option out")


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
    tensors, about, _ = converted.weights
    if converted.architecture.convention != "official":
        raise CheckpointError("timm has no MaxViT that computes what torchvision's does: nothing was written")
    if converted.architecture.classes is None:
        raise CheckpointError("timm's MaxViT has a classification head, these weights have none")
    if about["image_size"] is None:
        raise CheckpointError("timm has a MaxViT for each size of images: name it with --image-size")
    sizes = {image: partition for partition, image in IMAGE_SIZES.items()}
    partition = sizes.get(about["image_size"], converted.architecture.table_partition_size)
    tensors = {
        name: resize_table(tensor, (partition, partition)) if name.endswith(TABLE) else tensor
        for name, tensor in tensors.items()
    }
    return timm.TRANSLATION.to_theirs(tensors)


def to_mmpretrain(converted: Converted) -> dict[str, Tensor]:
    """The tensors under the names of MMPretrain's `ImageClassifier` with a MaxViT and a MaxViTClsHead."""
    if converted.architecture.classes is None:
        raise CheckpointError("MMPretrain's classifier has a classification head, these weights have none")
    return mmpretrain.to_theirs(converted.weights.tensors)
