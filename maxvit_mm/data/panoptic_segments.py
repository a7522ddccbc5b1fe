"""The entries of COCO's panoptic annotation files: what each must have, and their segments in a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .coco_entries import CROWD, NEEDED, WHOLE, Entry, Need, as_meant, is_flag, is_text, is_whole

MOST = 256**3 - 1


def is_id(value: Any) -> bool:
    return is_whole(value) and 1 <= value <= MOST


# Read by MMDetection's CocoPanopticDataset and CocoPanopticMetric
PANOPTIC: dict[str, Mapping[str, Need]] = {
    "images": NEEDED["images"],
    "categories": {
        **NEEDED["categories"],
        "isthing": (is_flag, "1 or 0: write 1 for things, which are counted, and 0 for stuff"),
    },
    "annotations": {
        "image_id": WHOLE,
        "file_name": (is_text, "the name of a PNG"),
        "segments_info": (lambda value: type(value) is list, "a list of segments"),
    },
}
SEGMENT: Mapping[str, Need] = {
    "id": (is_id, f"a whole number from 1 to {MOST:,}: a colour's R + 256 G + 65536 B; 0 is void"),
    **{key: NEEDED["annotations"][key] for key in ("category_id", "bbox", "area")},
    "iscrowd": CROWD,
}


def segments_of(annotations: list[Entry]) -> list[Entry]:
    """All segments, each with its image's id, and an 'id' that says whose it is."""
    return [
        {**segment, "image_id": each["image_id"], "id": f"{segment.get('id')} of {each['file_name']}"}
        for each in annotations
        for segment in each["segments_info"]
        if isinstance(segment, dict)
    ]


def things_of(coco: Any) -> Any:
    """The content of a panoptic annotation file as one of instances, of its things; any other as it is."""
    if not any("segments_info" in each for each in coco["annotations"]):
        return coco
    things = {category["id"] for category in coco["categories"] if category["isthing"]}
    found = [each for each in segments_of(coco["annotations"]) if each["category_id"] in things]
    coco = {**coco, "annotations": found}
    as_meant(coco)
    return coco
