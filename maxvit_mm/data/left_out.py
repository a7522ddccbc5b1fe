"""What MMDetection will not learn from and COCOeval will not evaluate, counted by reason.

Both pass over such entries in silence. The reasons are those of `CocoDataset.parse_data_info` and
`CocoDataset.filter_data` in mmdet, and of `COCOeval` in pycocotools, which passes over crowds alone.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from .coco_entries import Boxed, Coco, Entry, sentence

CROWD = "'iscrowd' is 1: a crowd, neither learnt nor evaluated; objects that can be told apart need 0"
IGNORED = "'ignore' is 1"
OUTSIDE = "the box has no part inside its image"
NO_AREA = "'area' is 0 or less; write the object's pixels, or width x height of its box"
TINY = "the box is under one pixel wide or high"


@dataclass(frozen=True)
class Filter:
    """What a config's `filter_cfg` takes out of the training: images without objects, and small ones."""

    empty: bool = True
    smaller_side: int = 32  # pixels


def reason(annotation: Entry, image: Entry) -> str | None:
    """Why an object is left out of the training, as MMDetection asks in turn; None if it is not."""
    x, y, width, height = annotation["bbox"]
    if annotation["ignore"]:
        return IGNORED
    if min(x + width, image["width"]) <= max(x, 0) or min(y + height, image["height"]) <= max(y, 0):
        # A box without width has no part inside either, and its name for a user is another.
        return TINY if min(width, height) < 1 else OUTSIDE
    if annotation["area"] <= 0:
        return NO_AREA
    if min(width, height) < 1:
        return TINY
    return CROWD if annotation["iscrowd"] else None


def sort_out(boxed: Boxed, to_train: bool) -> tuple[Boxed, dict[str, Boxed]]:
    """The objects that are learnt or evaluated, and the rest by reason."""
    kept, rest = [], defaultdict(list)
    for annotation, image in boxed:
        why = reason(annotation, image) if to_train else (CROWD if annotation["iscrowd"] else None)
        if why is None:
            kept.append((annotation, image))
        else:
            rest[why].append((annotation, image))
    return kept, rest


def left_out(where: str, to_train: bool, kept: Boxed, rest: dict[str, Boxed]) -> Iterator[str]:
    """A sentence for each reason; and for what COCOeval counts, though no detector learns to find it."""
    verb = "not learnt" if to_train else "not evaluated"
    for why, those in rest.items():
        yield from sentence(where, f"objects that are {verb}, because {why}", (a["id"] for a, _ in those))
    if not to_train:
        for why, those in sort_out(kept, to_train=True)[1].items():
            what = f"objects that are never learnt but evaluated, because {why}"
            yield from sentence(where, what, (a["id"] for a, _ in those))


def nothing_left(where: str, to_train: bool, coco: Coco, kept: Boxed) -> Iterator[str]:
    if coco["annotations"] and not kept:
        yield f"{where}: nothing is left to {'learn from' if to_train else 'evaluate'}, for the reasons above"


def empty_images(where: str, coco: Coco, kept: Boxed, only: Filter) -> Iterator[str]:
    """Training images that are left out, and those that stay without an object."""
    small = (
        f"{image['file_name']} ({image['width']}x{image['height']})"
        for image in coco["images"]
        if min(image["width"], image["height"]) < only.smaller_side
    )
    what = f"images under {only.smaller_side} pixels, which training leaves out (filter_cfg.min_size)"
    yield from sentence(where, what, small)
    annotated = {annotation["image_id"] for annotation in coco["annotations"]}
    with_objects = {image["id"] for _, image in kept}
    names = [image["file_name"] for image in coco["images"] if image["id"] not in annotated]
    if only.empty:
        keep = "train_dataloader.dataset.filter_cfg.filter_empty_gt=False"
        what = f"images without an annotation, which training leaves out; --cfg-options {keep} keeps them"
    else:
        what = "images without an annotation, which are trained on as background"
    yield from sentence(where, what, names)
    bare = (
        image["file_name"]
        for image in coco["images"]
        if image["id"] in annotated and image["id"] not in with_objects
    )
    yield from sentence(where, "images of whose objects none is learnt, trained on as background", bare)
