"""A video of the pictures that were drawn."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from .sources import Frame


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
