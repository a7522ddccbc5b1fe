"""What a detector's results become: COCO's format, a line for each object, crops, tracks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import supervision as sv

from ..weights import shorten
from .coco_results import CocoResults
from .detector import Detector
from .outputs import RESULTS, Outputs, safe_name, save
from .pictures import Drawing
from .sources import Frame

CROPS = "crops"
COLUMNS = ("class", "score", "x", "y", "width", "height", "track")


class ObjectOutputs(Outputs[sv.Detections]):
    """Objects, as `predictions.json` in COCO's result format.

    Args:
        folder, pictures, table: see `Outputs`.
        crops: cut out each object, into `crops/CLASS/`.
        numbering: see `CocoResults`.
        track: number objects through a video.
    """

    columns = ("file", "frame", *COLUMNS)

    def __init__(
        self,
        folder: Path,
        detector: Detector,
        pictures: bool = True,
        table: bool = False,
        crops: bool = False,
        ids_of: Path | None = None,
        track: bool = False,
    ):
        super().__init__(folder, detector.classes, Drawing(detector.classes) if pictures else None, table)
        self.detector, self.crops = detector, crops
        self.results: CocoResults = CocoResults(folder / RESULTS, detector.classes, ids_of)
        self.counts: Counter[str] = Counter()  # of objects, by class
        self.full: Counter[str] = Counter()  # of a source's images with as many objects as can be
        self.tracking = None
        if track:
            from .tracking import Tracking  # needs a library of its own

            self.tracking = Tracking(detector.score_thr)

    def add(self, frame: Frame, found: sv.Detections) -> None:
        super().add(frame, found if self.tracking is None else self.tracking(frame, found))

    def record(self, frame: Frame, found: sv.Detections) -> None:
        self.results.add(frame, found)
        self.counts.update(found.data.get("class_name", ()))
        if len(found) == self.detector.most:
            self.full[frame.source.name] += 1
        if self.crops:
            self.cut_out(frame, found)

    def rows(self, frame: Frame, found: sv.Detections) -> list[list[object]]:
        return object_rows(found)

    def describe(self) -> str:
        kinds = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        return f"{sum(self.counts.values())} objects" + (f" ({kinds})" if kinds else "")

    def notes(self) -> Iterator[str]:
        if self.full and self.detector.tile is None:
            images, where = sum(self.full.values()), shorten(list(self.full), 3)
            yield (
                f"the config finds {self.detector.most} objects an image at most, which {images} images "
                f"reach (in {where}): --tile finds more"
            )
        if self.results.unknown:
            lost = shorten(list(self.results.unknown), 3)
            yield f"--ids-of does not have {lost}: left out of predictions.json"

    def cut_out(self, frame: Frame, found: sv.Detections) -> None:
        suffix = ".jpg" if frame.number is not None else self.place.suffix
        stem = self.place.relative_to(self.folder).with_suffix("").as_posix().replace("/", "_")
        stem += "" if frame.number is None else f"_{frame.number}"
        for i, name in enumerate(found.data.get("class_name", ())):
            crop = sv.crop_image(frame.image, found.xyxy[i])
            if crop.size:
                save(self.folder / CROPS / safe_name(str(name)) / f"{stem}_{i}{suffix}", crop)


def object_rows(found: sv.Detections) -> list[list[object]]:
    """A line for each object: see COLUMNS; `x` and `y` are the left and the top of its box, in pixels."""
    lines = []
    for i, (x1, y1, x2, y2) in enumerate(found.xyxy.tolist()):
        box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
        track = "" if found.tracker_id is None or found.tracker_id[i] < 0 else int(found.tracker_id[i])
        score = round(float(np.asarray(found.confidence)[i]), 5)
        lines.append([found.data["class_name"][i], score, *box, track])
    return lines
