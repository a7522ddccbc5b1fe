"""What the page answers: new values for its components, or a sentence on why there are none."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ...network.variants import STRIDES
from ..attention_pictures import save
from ..explaining import GRADIENTS, KINDS, Place
from ..looking import Found
from .checks import one_of, place_of, refusal, score_of, some_of
from .finder import Finder
from .finding import Finding
from .folder import Folder

FEW = 12  # classes that have a switch each; of more, a visitor chooses some from a list
WELCOME = "Drop an image, paste one or take one with the camera."
FORGOTTEN = "The page keeps an image for an hour at most, and this one is gone: send it again."
STAGES = range(1, len(STRIDES) + 1)
WRITTEN = 30  # letters of a place
PLACE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*[,; ]\s*(\d+(?:\.\d*)?)\s*")


class Answers:
    """Answers what visitors ask for. What is kept of a visitor is a `Finding`, which each answer gets.

    Args:
        folder: for the files that visitors are given.
        examples: images that a visitor may choose.
    """

    def __init__(self, finder: Finder, folder: Folder, examples: Sequence[Path]):
        self.finder, self.folder, self.examples = finder, folder, examples
        self.names = finder.classes.names

    def find(self, upload: Any, score: Any, wanted: Any) -> tuple[Any, ...]:
        """A new image, or none where it was taken away: the one place where the network runs to find."""
        if not isinstance(upload, dict) or not isinstance(upload.get("path"), str):
            return (None, *self.nothing(WELCOME), "", None)
        try:
            name = upload.get("orig_name")
            finding = self.finder.find(Path(upload["path"]), name if isinstance(name, str) else "")
        except ValueError as error:
            return (None, *self.nothing(str(error)), "", None)
        return (finding, *self.show(finding, score, wanted), "", None)

    def show(self, finding: Finding | None, score: Any, wanted: Any) -> tuple[Any, ...]:
        """What was found, as the slider and the switches have it."""
        if finding is None:
            return self.nothing(FORGOTTEN)
        lowest, names = score_of(score), some_of(wanted, self.names)
        shown = finding.shown(lowest, names if names or len(self.names) <= FEW else self.names)
        picture, results = finding.write(self.folder.new(), self.finder.classes, self.finder.draw, shown)
        said = summary(finding, shown)
        objects = [(object_name(finding, number), number) for number in shown]
        drawn = gr.Image(str(picture), alt_text=said)
        files = (gr.DownloadButton(value=str(file), interactive=True) for file in (picture, results))
        chosen = shown[0] if shown else None
        return as_status(said), drawn, finding.table(shown), *files, gr.Dropdown(objects, value=chosen), drawn

    def nothing(self, why: str) -> tuple[Any, ...]:
        no_file = gr.DownloadButton(value=None, interactive=False)
        return as_status(why), None, [], no_file, no_file, gr.Dropdown([], value=None), None

    def example(self, event: gr.SelectData) -> str:
        """The image that was chosen, as if it had been sent."""
        return str(one_of(event.index, self.examples, "Choose one of the examples."))

    def point(self, finding: Finding | None, event: gr.SelectData) -> str:
        """Where the picture was clicked, in the image's pixels."""
        if finding is None:
            raise refusal(FORGOTTEN)
        x, y = finding.place(*place_of(event.index))
        return f"{x:.0f},{y:.0f}"

    def explain(self, finding: Finding | None, number: Any, place: Any, stage: Any, kinds: Any) -> Any:
        """The picture of where it looked."""
        if finding is None:
            raise refusal("Send an image first.")
        at, chosen = place_for(finding, number, place), some_of(kinds, KINDS)
        if stage not in STAGES:
            raise refusal(f"Choose one of the stages {STAGES[0]} to {STAGES[-1]}.")
        known = [kind for kind in chosen if isinstance(at, Found) or kind not in GRADIENTS]
        if chosen and not known:
            raise refusal(
                "Grad-CAM and HiResCAM explain an object's score: choose an object, or another map."
            )
        try:
            figure = self.finder.attention(finding, at, known, int(stage) - 1)
        except ValueError as error:
            raise refusal(str(error)) from error
        file = self.folder.new() / "attention.png"
        save(figure, file)
        return gr.Image(str(file), alt_text="Maps of where the detector looked, beside the image")


def place_for(finding: Finding, number: Any, place: Any) -> Place:
    """What is looked from: a place where one is written, or else an object."""
    if place:
        text = str(place)
        written = PLACE.fullmatch(text) if len(text) <= WRITTEN else None
        if written is None:
            raise refusal(f"{text[:WRITTEN]!r} is no place: write it as 120,80 (x,y).")
        return float(written[1]), float(written[2])
    nothing = "Nothing is shown: lower the score, or click a place in the image."
    return finding.object(one_of(number, range(len(finding.found)), nothing))


def object_name(finding: Finding, number: int) -> str:
    its = finding.object(number)
    return f"{number + 1}: {its.name} {its.score:.2f}"


def summary(finding: Finding, shown: Sequence[int]) -> str:
    counts = Counter(str(finding.found.data["class_name"][number]) for number in shown)
    kinds = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    height, width = finding.frame.image.shape[:2]
    size = f"{finding.frame.source.name}, {width}x{height} pixels, {finding.seconds:.2f} s"
    several = f"{len(shown)} objects" if len(shown) != 1 else "1 object"
    return f"{several} {f'({kinds}) ' if kinds else ''}in {size}"


def as_status(text: str) -> str:
    """Text as an element whose changes screen readers read out."""
    return f'<p role="status">{html.escape(text)}</p>'
