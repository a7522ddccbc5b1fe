"""What a detector's page answers: objects, filtered, and where it looked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import gradio as gr

from ...network.variants import STRIDES
from ..attention_pictures import save
from ..explaining import GRADIENTS, KINDS, Place
from ..looking import Found
from .answers import FORGOTTEN, Answers, as_status, files_of
from .checks import one_of, place_of, refusal, score_of, some_of
from .object_finder import ObjectFinder
from .object_finding import ObjectFinding

STAGES = range(1, len(STRIDES) + 1)
WRITTEN = 30  # letters of a place
PLACE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*[,; ]\s*(\d+(?:\.\d*)?)\s*")


class ObjectAnswers(Answers):
    """`Answers` of a page that shows objects; a new image forgets the place and the maps."""

    finder: ObjectFinder
    reset = ("", None)

    def shown(self, finding: ObjectFinding, *filters: Any) -> tuple[Any, ...]:
        score, wanted = filters
        shown = finding.shown(score_of(score), self.wanted(wanted))
        picture, results = finding.write(self.folder.new(), self.classes, self.finder.draw, shown)
        said = summary(finding, shown)
        objects = [(object_name(finding, number), number) for number in shown]
        drawn = gr.Image(str(picture), alt_text=said)
        chosen = gr.Dropdown(objects, value=shown[0] if shown else None)
        return as_status(said), drawn, finding.table(shown), *files_of(picture, results), chosen, drawn

    def nothing(self, why: str) -> tuple[Any, ...]:
        return as_status(why), None, [], *files_of(None, None), gr.Dropdown([], value=None), None

    def point(self, finding: ObjectFinding | None, event: gr.SelectData) -> str:
        """Where the picture was clicked, in the image's pixels."""
        if finding is None:
            raise refusal(FORGOTTEN)
        x, y = finding.place(*place_of(event.index))
        return f"{x:.0f},{y:.0f}"

    def explain(self, finding: ObjectFinding | None, number: Any, place: Any, stage: Any, kinds: Any) -> Any:
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


def place_for(finding: ObjectFinding, number: Any, place: Any) -> Place:
    """What is looked from: a place where one is written, or else an object."""
    if place:
        text = str(place)
        written = PLACE.fullmatch(text) if len(text) <= WRITTEN else None
        if written is None:
            raise refusal(f"{text[:WRITTEN]!r} is no place: write it as 120,80 (x,y).")
        return float(written[1]), float(written[2])
    nothing = "Nothing is shown: lower the score, or click a place in the image."
    return finding.object(one_of(number, range(len(finding.found)), nothing))


def object_name(finding: ObjectFinding, number: int) -> str:
    its = finding.object(number)
    return f"{number + 1}: {its.name} {its.score:.2f}"


def summary(finding: ObjectFinding, shown: Sequence[int]) -> str:
    counts = Counter(str(finding.found.data["class_name"][number]) for number in shown)
    kinds = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    several = f"{len(shown)} objects" if len(shown) != 1 else "1 object"
    return f"{several} {f'({kinds}) ' if kinds else ''}in {finding.about}"
