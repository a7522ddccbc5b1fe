"""One model for all visitors of a page, and where it looked: one image at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from matplotlib.figure import Figure

from ..attention_pictures import picture
from ..evidence import Found
from ..explaining import Place, explain
from ..looking import Looker
from ..predictor import Predictor
from .finding import Finding
from .uploads import Limits, read_upload

TOO_LARGE = "this image is too large for the memory of the device: make it smaller"


class Finder:
    """Looks at uploads, and shows where the model looked.

    Args:
        predictor: a detector keeps all that a visitor may want to see, so it has a low `score_thr`.
        limits: on uploads.
        finding: what becomes of a result.

    Attributes:
        looker: shows attention and gradients of the same model; None where it has no MaxViT.
    """

    def __init__(self, predictor: Predictor, limits: Limits, finding: type[Finding] = Finding):
        self.predictor: Any = predictor
        self.limits, self.finding = limits, finding
        self.lock = Lock()
        self.looker: Looker | None = None
        with suppress(ValueError):  # it is on another backbone
            names = predictor.classes.names
            self.looker = Looker(predictor.model, predictor.pipeline, names, predictor.decoder)

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

    def attention(self, finding: Finding, at: Place | str, kinds: Sequence[str], stage: int) -> Figure:
        """The picture of where it looked from what was found, a place or a named class; see `explain`.

        Raises:
            ValueError: where there is nothing to show, and says why.
        """
        if self.looker is None:
            raise ValueError("this model has no MaxViT, whose attention could be shown")
        if not kinds:
            raise ValueError("choose a map or more")
        image = finding.frame.image
        with self.lock, enough_memory():
            looked = self.looker.look(image, name=at if isinstance(at, str) else None)
            if isinstance(at, str):
                if not looked.found:
                    raise ValueError(f"there is no {at} in this image: choose another class")
                at = looked.found[0]
            maps = explain(self.looker, looked, at, kinds, stage)
        words = looked.evidence.words(at) if isinstance(at, Found) else f"({at[0]:g}, {at[1]:g})"
        return picture(image, at, maps, f"Where the {looked.evidence.trained} looked from {words}")


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
