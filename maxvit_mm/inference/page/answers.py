"""What every page answers: new values for its components, or a sentence on why there are none."""

from __future__ import annotations

import html
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from ...network.variants import STRIDES
from ..attention_pictures import save
from ..evidence import Found
from ..explaining import GRADIENTS, KINDS, Place
from .checks import one_of, place_of, refusal, some_of
from .finder import Finder
from .finding import Finding
from .folder import Folder

FEW = 12  # classes that have a switch each; of more, a visitor chooses some from a list
WELCOME = "Drop an image, paste one or take one with the camera."
FORGOTTEN = "The page keeps an image for an hour at most, and this one is gone: send it again."
STAGES = range(1, len(STRIDES) + 1)
WRITTEN = 30  # letters of a place
PLACE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*[,; ]\s*(\d+(?:\.\d*)?)\s*")
EMPTIED = ("", None)  # by a new image: the place, and the maps


class Answers(ABC):
    """Answers what visitors ask for. What is kept of a visitor is a `Finding`, which each answer gets.

    Args:
        folder: for the files that visitors are given.
        examples: images that a visitor may choose.

    Attributes:
        thing: what a map is for, in words.
    """

    thing: ClassVar[str] = "a class"

    def __init__(self, finder: Finder, folder: Folder, examples: Sequence[Path]):
        self.finder, self.folder, self.examples = finder, folder, examples
        self.classes = finder.predictor.classes
        self.names = self.classes.names

    def find(self, upload: Any, *filters: Any) -> tuple[Any, ...]:
        """A new image, or none where it was taken away: the one place where the network runs to find."""
        if not isinstance(upload, dict) or not isinstance(upload.get("path"), str):
            return (None, *self.nothing(WELCOME), *EMPTIED)
        try:
            name = upload.get("orig_name")
            finding = self.finder.find(Path(upload["path"]), name if isinstance(name, str) else "")
        except ValueError as error:
            return (None, *self.nothing(str(error)), *EMPTIED)
        return (finding, *self.show(finding, *filters), *EMPTIED)

    def show(self, finding: Finding | None, *filters: Any) -> tuple[Any, ...]:
        """What was found, as the filters have it: values of the page's `shown`."""
        return self.nothing(FORGOTTEN) if finding is None else self.shown(finding, *filters)

    @abstractmethod
    def shown(self, finding: Any, *filters: Any) -> tuple[Any, ...]:
        """`show`, where there is something.

        The last two are for the maps: what they may be for, and the picture in which a place is clicked.
        """

    @abstractmethod
    def nothing(self, why: str) -> tuple[Any, ...]:
        """A sentence, and nothing in the other components."""

    def wanted(self, switched: Any) -> list[str]:
        """The classes that switches or a list choose; in a list none means all."""
        names = some_of(switched, self.names)
        return names if names or len(self.names) <= FEW else list(self.names)

    def subject(self, finding: Any, value: Any) -> Found | str:
        """What was chosen for the maps: here a class, by its number."""
        return one_of(value, self.names, "Choose a class, or click a place in the image.")

    def point(self, finding: Finding | None, event: gr.SelectData) -> str:
        """Where the picture was clicked, in the image's pixels."""
        if finding is None:
            raise refusal(FORGOTTEN)
        x, y = finding.place(*place_of(event.index))
        return f"{x:.0f},{y:.0f}"

    def explain(self, finding: Finding | None, value: Any, place: Any, stage: Any, kinds: Any) -> Any:
        """The picture of where it looked."""
        if finding is None:
            raise refusal("Send an image first.")
        at: Place | str = place_in(place) if place else self.subject(finding, value)
        chosen = some_of(kinds, KINDS)
        if stage not in STAGES:
            raise refusal(f"Choose one of the stages {STAGES[0]} to {STAGES[-1]}.")
        known = [kind for kind in chosen if isinstance(at, Found | str) or kind not in GRADIENTS]
        if chosen and not known:
            raise refusal(f"Grad-CAM and HiResCAM explain a score: choose {self.thing}, or another map.")
        try:
            figure = self.finder.attention(finding, at, known, int(stage) - 1)
        except ValueError as error:
            raise refusal(str(error)) from error
        file = self.folder.new() / "attention.png"
        save(figure, file)
        return gr.Image(str(file), alt_text="Maps of where it looked, beside the image")

    def example(self, event: gr.SelectData) -> str:
        """The image that was chosen, as if it had been sent."""
        return str(one_of(event.index, self.examples, "Choose one of the examples."))


def place_in(place: Any) -> Place:
    """A place that was written."""
    text = str(place)
    written = PLACE.fullmatch(text) if len(text) <= WRITTEN else None
    if written is None:
        raise refusal(f"{text[:WRITTEN]!r} is no place: write it as 120,80 (x,y).")
    return float(written[1]), float(written[2])


def as_status(text: str) -> str:
    """Text as an element whose changes screen readers read out."""
    return f'<p role="status">{html.escape(text)}</p>'


def files_of(*paths: Path | None) -> list[gr.DownloadButton]:
    """Buttons that download files; without a file, a button that cannot be pressed."""
    return [gr.DownloadButton(value=path and str(path), interactive=path is not None) for path in paths]
