"""Data sets that need no download: scenes of shapes, as COCO lays out, or one shape an image, by class.

make_shapes(Path("data/shapes"))  # 600 images to train on and 100 to test on
"""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from .class_folder import inspect_classes
from .scenes import CLASSES, Layout, lay_out, lay_out_one, paint
from .semantic_map import BACKGROUND

VERSION = 4  # to be raised with every change of what is written: older folders are then made again
STAMP = "maxvit_mm_shapes.json"
SPLITS = ("train2017", "val2017")
Parameters = dict[str, int | str]
EMPTY_EVERY = 25  # one image in so many shows no object
STUFF = (BACKGROUND,)  # of the panoptic maps, beside the things of CLASSES
SPREAD = 0x9E3779  # odd, so that its multiples are different colours, and such that eyes tell them apart


def make_shapes(root: Path, train: int = 600, val: int = 100, seed: int = 0, task: str = "detection") -> Path:
    """See that `root` holds the data set of these parameters, and return `root`.

    A complete one is left as it is, an incomplete or different one of ours is made anew. It
    appears whole or not at all, and the same seed gives the same bytes.

    Args:
        task: one of `TASKS`.

    Raises:
        ValueError: a split would have no image, or the seed is negative.
        FileExistsError: `root` holds something else; all of it is left as it is.
    """
    kind = TASKS[task]
    parameters: Parameters = dict(version=VERSION, train=train, val=val, seed=seed, task=task)
    if min(train, val) < 1 or seed < 0:
        raise ValueError(f"an image or more a split and a seed of 0 or more, not {parameters}")
    target = root.resolve()  # a link stays a link, and the data go where it points
    if _found(target) == parameters:
        return root
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        made = Path(scratch, "made")
        for number, (split, count) in enumerate(zip(kind.splits, (train, val), strict=True)):
            kind.write(made, split, [(seed, number, index) for index in range(count)])
        files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*"))
        (made / STAMP).write_text(json.dumps({"parameters": parameters, "files": files}))
        if target.exists():
            target.rename(Path(scratch, "replaced"))  # and is removed with the rest of `scratch`
        made.rename(target)
    return root


def _found(root: Path) -> Parameters | None:
    """The parameters of a complete set; None where there is nothing, or only parts of a set."""
    stamp = root / STAMP
    made = json.loads(stamp.read_text()) if stamp.exists() else {"files": []}
    ours = {stamp, *(root / name for name in made["files"])}
    present = set(root.rglob("*")) if root.is_dir() else {p for p in [root] if p.exists()}
    if strangers := sorted(present - ours):
        raise FileExistsError(f"{strangers[0]} is no part of this data set: choose a new or empty folder")
    return made["parameters"] if present == ours else None


def _write_split(root: Path, split: str, seeds: list[tuple[int, ...]]) -> None:
    """Draw one image from each of `seeds`; write them, their maps, then annotations, below `root`."""
    maps = root / "annotations" / f"panoptic_{split}"
    for folder in (root / split, maps):
        folder.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    panoptic: list[dict[str, Any]] = []
    for number, entropy in enumerate(seeds, start=1):
        rng = np.random.default_rng(entropy)
        layout = lay_out(rng, empty=number % EMPTY_EVERY == 0)
        name, (height, width) = f"{number:012d}.jpg", layout.owner.shape
        (root / split / name).write_bytes(_jpeg(layout, rng))
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        found = annotate(layout)
        for fields in found:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **fields})
        png = name.replace(".jpg", ".png")
        (maps / png).write_bytes(cv2.imencode(".png", _panoptic_map(layout))[1].tobytes())
        panoptic.append({"image_id": number, "file_name": png, "segments_info": segments(layout, found)})
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(coco))
    coco["annotations"] = panoptic
    coco["categories"] = [
        {"id": i, "name": name, "isthing": int(name in CLASSES)}
        for i, name in enumerate((*CLASSES, *STUFF), start=1)
    ]
    (root / "annotations" / f"panoptic_{split}.json").write_text(json.dumps(coco))


def _segment_id(owner: Any) -> Any:
    """The id of what `Layout.owner` names, the background's too: 1 to 256**3 - 1, as 0 is void."""
    return (owner + 1) * SPREAD % 256**3


def _panoptic_map(layout: Layout) -> NDArray[np.uint8]:
    """The ids of an image's segments as colours, of which red counts 1, green 256 and blue 256**2.

    Returns:
        [height, width, 3], blue first as OpenCV has it.
    """
    ids = _segment_id(layout.owner.astype(np.int64))
    return (ids[..., None] // (256**2, 256, 1) % 256).astype(np.uint8)


def segments(layout: Layout, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """COCO's panoptic annotation of an image: its background, then its shapes, `found` by `annotate`."""
    mask = rle.encode(np.asfortranarray(layout.owner == 0, np.uint8))
    background = {"category_id": len(CLASSES) + 1, "area": int(rle.area(mask)), "bbox": rle.toBbox(mask)}
    return [
        {
            "id": _segment_id(owner),
            "category_id": fields["category_id"],
            "area": fields["area"],
            "bbox": [int(side) for side in fields["bbox"]],
            "iscrowd": 0,
        }
        for owner, fields in enumerate([background, *found])
    ]


def _write_classes(root: Path, split: str, seeds: list[tuple[int, ...]]) -> None:
    """Draw one shape from each of `seeds`, of each class in turn, into a folder for each class."""
    for number, entropy in enumerate(seeds):
        rng = np.random.default_rng(entropy)
        name = CLASSES[number % len(CLASSES)]
        (root / split / name).mkdir(parents=True, exist_ok=True)
        (root / split / name / f"{number + 1:06d}.jpg").write_bytes(_jpeg(lay_out_one(rng, name), rng))


def _jpeg(layout: Layout, rng: np.random.Generator) -> bytes:
    return cv2.imencode(".jpg", paint(layout, rng), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def annotate(layout: Layout) -> list[dict[str, Any]]:
    """COCO's annotations of what is visible, from back to front; ids are the caller's to add."""
    found = []
    for k, shape in enumerate(layout.shapes, start=1):
        mask = rle.encode(np.asfortranarray(layout.owner == k, np.uint8))
        found.append(
            {
                "category_id": 1 + CLASSES.index(shape.name),
                "bbox": rle.toBbox(mask).tolist(),
                "area": int(rle.area(mask)),
                "iscrowd": 0,
                "segmentation": {"size": mask["size"], "counts": mask["counts"].decode()},
            }
        )
    return found


def describe_file(annotation_file: Path) -> str:
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


class Kind(NamedTuple):
    """A data set: the names of its splits, what writes one below a folder, what says how much is in it."""

    splits: tuple[str, str]
    write: Callable[[Path, str, list[tuple[int, ...]]], None]
    describe: Callable[[Path], str]


def _describe_scenes(root: Path) -> str:
    files = (root / "annotations" / f"instances_{split}.json" for split in SPLITS)
    return "\n".join(map(describe_file, files))


def _describe_classes(root: Path) -> str:
    return inspect_classes(root).describe()


TASKS = {
    "detection": Kind(SPLITS, _write_split, _describe_scenes),
    "classification": Kind(("train", "val"), _write_classes, _describe_classes),
}
