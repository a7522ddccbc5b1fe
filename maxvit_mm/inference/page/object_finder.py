"""One detector for all visitors of a page, and where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from matplotlib.figure import Figure

from ..attention_pictures import picture
from ..detector import Detector
from ..explaining import Place, explain
from ..looking import Found, Looker
from ..pictures import Drawing
from .finder import Finder, enough_memory
from .object_finding import ObjectFinding
from .uploads import Limits


class ObjectFinder(Finder):
    """Finds objects in uploads, and shows where the detector looked.

    Args:
        detector: keeps all that a visitor may want to see, so it has a low `score_thr`.
        limits: on uploads.

    Attributes:
        looker: shows attention and gradients of the same model; None where it has no MaxViT.
    """

    finding = ObjectFinding
    predictor: Detector

    def __init__(self, detector: Detector, limits: Limits):
        super().__init__(detector, limits)
        self.draw = Drawing(detector.classes)
        self.looker: Looker | None = None
        with suppress(ValueError):  # it is on another backbone
            names = detector.classes.names
            self.looker = Looker(detector.model, detector.pipeline, names, detector.decoder)

    def attention(self, finding: ObjectFinding, at: Place, kinds: Sequence[str], stage: int) -> Figure:
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


def described(at: Place) -> str:
    """A place in words."""
    if isinstance(at, Found):
        return f"the box of a {at.name} (score {at.score:.2f})"
    return f"({at[0]:g}, {at[1]:g})"
