"""What the network said of an image, once; shown many times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..outputs import safe_name
from ..pictures import enlargement
from ..sources import Frame


@dataclass(frozen=True, eq=False)
class Finding:
    """An image and its result; `seconds` is how long that took."""

    frame: Frame
    found: Any
    seconds: float

    @property
    def stem(self) -> str:
        """Of the names of files that are made of it."""
        return safe_name(self.frame.source.place.stem)

    @property
    def about(self) -> str:
        height, width = self.frame.image.shape[:2]
        return f"{self.frame.source.name}, {width}x{height} pixels, {self.seconds:.2f} s"

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A pixel of the picture as a place in the image."""
        times = enlargement(*self.frame.image.shape[:2])
        return x / times, y / times
