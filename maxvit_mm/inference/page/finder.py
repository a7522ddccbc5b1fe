"""One model for all visitors of a page: it looks at one image at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import torch

from ..predictor import Predictor
from .finding import Finding
from .uploads import Limits, read_upload

TOO_LARGE = "this image is too large for the memory of the device: make it smaller"


class Finder:
    """Looks at uploads.

    Args:
        limits: on uploads.
    """

    finding: ClassVar[type[Finding]] = Finding
    predictor: Any

    def __init__(self, predictor: Predictor, limits: Limits):
        self.predictor, self.limits = predictor, limits
        self.lock = Lock()

    def find(self, file: Path, name: str) -> Any:
        """Look at an upload: a `Finding`.

        Raises:
            ValueError: where it is no image, or cannot be used, and says why.
        """
        with self.lock:
            frame = read_upload(file, name, self.predictor.decoder, self.limits)
            start = time.monotonic()
            with enough_memory():
                ((_, found),) = self.predictor.look_at([frame])
            return self.finding(frame, found, time.monotonic() - start)


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
