"""One detector for all visitors of a page: it looks at one image at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import torch
from matplotlib.figure import Figure

from ..attention_pictures import picture
from ..detector import Detector
from ..explaining import Place, explain
from ..looking import Found, Looker
from ..pictures import Drawing
from .finding import Finding
from .uploads import Limits, read_upload

TOO_LARGE = "this image is too large for the memory of the device: make it smaller"


class Finder:
    """Finds objects in uploads, and shows where the detector looked.

    Args:
        detector: keeps all that a visitor may want to see, so it has a low `score_thr`.
        limits: on uploads.

    Attributes:
        looker: shows attention and gradients of the same model; None where it has no MaxViT.
    """

    def __init__(self, detector: Detector, limits: Limits):
        self.detector, self.limits = detector, limits
        self.classes = detector.classes
        self.draw = Drawing(detector.classes)
        self.lock = Lock()
        self.looker: Looker | None = None
        with suppress(ValueError):  # it is on another backbone
            self.looker = Looker(detector.model, detector.pipeline, self.classes.names, detector.decoder)

    def find(self, file: Path, name: str) -> Finding:
        """Look for objects in an upload.

        Raises:
            ValueError: where it is no image, or cannot be used, and says why.
        """
        with self.lock:
            frame = read_upload(file, name, self.detector.decoder, self.limits)
            start = time.monotonic()
            with enough_memory():
                ((_, found),) = self.detector.look_at([frame])
            return Finding(frame, found, time.monotonic() - start)

    def attention(self, finding: Finding, at: Place, kinds: Sequence[str], stage: int) -> Figure:
        """The picture of where it looked from an object or a place; see `explain`.

        Raises:
            ValueError: where there is nothing to show, and says why.
        """
        if self.looker is None:
            raise ValueError("this detector has no MaxViT, whose attention could be shown")
        if not kinds:
            raise ValueError("choose a map or more")
        image = finding.frame.image
        with self.lock, enough_memory():
            maps = explain(self.looker, self.looker.look(image), at, kinds, stage)
        return picture(image, at, maps, f"Where the detector looked from {described(at)}")


@contextmanager
def enough_memory() -> Iterator[None]:
    """Say it in a sentence where memory, of a GPU or of the machine, is not enough for an image.

    Raises:
        ValueError: says so.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # PyTorch has a kind of error of its own for GPUs alone.
        kinds = (MemoryError, torch.OutOfMemoryError)
        if isinstance(error, kinds) or "DefaultCPUAllocator" in str(error):
            raise ValueError(TOO_LARGE) from error
        raise


def described(at: Place) -> str:
    """A place in words."""
    if isinstance(at, Found):
        return f"the box of a {at.name} (score {at.score:.2f})"
    return f"({at[0]:g}, {at[1]:g})"
