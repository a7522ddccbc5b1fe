"""Where what was found goes: pictures, videos, crops, tables, one folder for all."""

from __future__ import annotations

import csv
import time
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
import supervision as sv

from .coco_results import CocoResults
from .known_classes import Classes
from .pictures import Drawing
from .sources import Frame, Source

RESULTS = "predictions.json"
TABLE = "predictions.csv"
CROPS = "crops"
WRITES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
COLUMNS = ("file", "frame", "class", "score", "x", "y", "width", "height", "track")


class Outputs:
    """Writes what was found into a folder: `with Outputs(...) as outputs: outputs.add(frame, found)`.

    Args:
        folder: made where it is not there.
        pictures: draw pictures and videos.
        table: write `predictions.csv`.
        crops: cut out each object, into `crops/CLASS/`.
        numbering: see `CocoResults`.
    """

    def __init__(
        self,
        folder: Path,
        classes: Classes,
        pictures: bool = True,
        table: bool = False,
        crops: bool = False,
        numbering: Path | None = None,
    ):
        self.folder = folder
        self.classes = classes
        self.draw = Drawing(classes) if pictures else None
        self.crops = crops
        self.results = CocoResults(folder / RESULTS, classes, numbering)
        self.with_table = table
        self.places: dict[Source, Path] = {}
        self.taken: set[Path] = set()
        self.video: VideoFile | None = None
        self.source: Source | None = None
        self.stack = ExitStack()

    def __enter__(self) -> Outputs:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stack.enter_context(self.results)
        if self.with_table:
            file = self.stack.enter_context((self.folder / TABLE).open("w", newline="", encoding="utf-8"))
            self.table = csv.writer(file)
            self.table.writerow(COLUMNS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish_video()
        self.stack.close()

    def discard(self) -> None:
        """Where nothing could be read, take away what holds nothing: files, and the folder if it is empty."""
        for name in (RESULTS, TABLE):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # something of the user's is in it
            self.folder.rmdir()

    def add(self, frame: Frame, found: sv.Detections) -> None:
        """One image, or one frame of a video, and what was found in it.

        Raises:
            OSError: where it cannot be written.
        """
        if frame.source != self.source:
            self.finish_video()
            self.source = frame.source
            self.place = self.place_of(frame.source)
        self.results.add(frame, found)
        if self.with_table:
            self.table.writerows(rows(frame, found))
        if self.crops:
            self.cut_out(frame, found)
        if self.draw is None:
            return
        picture = self.draw(frame.image, found)
        if frame.number is None:
            save(self.place, picture)
        else:
            if self.video is None:
                self.video = VideoFile(self.place, picture, frame)
            self.video.add(picture)

    def place_of(self, source: Source) -> Path:
        """The file for a source, which no other source has."""
        place = self.folder / source.place
        if source.kind != "image":
            place = place.with_suffix(".mp4")
        elif place.suffix.lower() not in WRITES:
            place = place.with_suffix(".png")
        free, number = place, 2
        while free in self.taken:
            free, number = place.with_stem(f"{place.stem}_{number}"), number + 1
        self.taken.add(free)
        return free

    def cut_out(self, frame: Frame, found: sv.Detections) -> None:
        suffix = ".jpg" if frame.number is not None else self.place.suffix
        stem = self.place.relative_to(self.folder).with_suffix("").as_posix().replace("/", "_")
        stem += "" if frame.number is None else f"_{frame.number}"
        for i, name in enumerate(found.data.get("class_name", ())):
            crop = sv.crop_image(frame.image, found.xyxy[i])
            if crop.size:
                save(self.folder / CROPS / safe_name(str(name)) / f"{stem}_{i}{suffix}", crop)

    def finish_video(self) -> None:
        if self.video is not None:
            self.video.close()
            self.video = None


class VideoFile:
    """An .mp4 file of pictures of one size, at the rate of the video they come from.

    Of a camera or a stream a picture has the time at which it came, since some may have been passed over.
    """

    def __init__(self, path: Path, picture: np.ndarray, frame: Frame):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.container = av.open(str(path), "w")
        rate = Fraction(frame.rate).limit_denominator(1001)
        has_h264 = "libx264" in av.codecs_available  # which browsers and telephones show
        self.stream = self.container.add_stream("libx264" if has_h264 else "mpeg4", rate=rate)
        self.height, self.width = (side // 2 * 2 for side in picture.shape[:2])  # H.264 has no odd sides
        self.stream.width, self.stream.height, self.stream.pix_fmt = self.width, self.height, "yuv420p"
        self.stream.options = {"crf": "20", "preset": "veryfast"} if has_h264 else {}
        self.rate = float(rate)
        self.is_live = frame.source.kind == "stream"
        self.start = time.monotonic()
        self.last = -1

    def add(self, picture: np.ndarray) -> None:
        if picture.shape[0] < self.height or picture.shape[1] < self.width:  # a stream that changes its size
            picture = cv2.resize(picture, (self.width, self.height))
        picture = np.ascontiguousarray(picture[: self.height, : self.width])
        now = round((time.monotonic() - self.start) * self.rate) if self.is_live else self.last + 1
        image = av.VideoFrame.from_ndarray(picture, format="bgr24")
        image.pts = self.last = max(now, self.last + 1)
        self.container.mux(self.stream.encode(image))

    def close(self) -> None:
        self.container.mux(self.stream.encode())
        self.container.close()


def rows(frame: Frame, found: sv.Detections) -> list[list[object]]:
    """A line for each object: see COLUMNS; x and y are the left and the top of its box, in pixels."""
    lines = []
    for i, (x1, y1, x2, y2) in enumerate(found.xyxy.tolist()):
        box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
        track = "" if found.tracker_id is None or found.tracker_id[i] < 0 else int(found.tracker_id[i])
        score = round(float(np.asarray(found.confidence)[i]), 5)
        where = [str(frame.source.place), "" if frame.number is None else frame.number]
        lines.append([*where, found.data["class_name"][i], score, *box, track])
    return lines


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"{path} could not be written: is the disk full?")


def safe_name(name: str) -> str:
    """A class's name as that of a folder."""
    return "".join(c if c.isalnum() or c in " -_." else "_" for c in name).strip(". ") or "class"


def would_overwrite(folder: Path, sources: list[Source]) -> list[str]:
    """Sources that pictures in a folder would be written over."""
    return [s.name for s in sources if (folder / s.place).resolve() == Path(s.name).resolve()]
