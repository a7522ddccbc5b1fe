"""What a detector's page answers: objects, filtered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ..evidence import Found
from ..pictures import Drawing
from .answers import Answers, as_status, files_of
from .checks import one_of, score_of
from .finder import Finder
from .folder import Folder
from .object_finding import ObjectFinding


class ObjectAnswers(Answers):
    """`Answers` of a page that shows objects."""

    thing = "an object"

    def __init__(self, finder: Finder, folder: Folder, examples: Sequence[Path]):
        super().__init__(finder, folder, examples)
        self.draw = Drawing(self.classes)

    def shown(self, finding: ObjectFinding, *filters: Any) -> tuple[Any, ...]:
        score, wanted = filters
        shown = finding.shown(score_of(score), self.wanted(wanted))
        picture, results = finding.write(self.folder.new(), self.classes, self.draw, shown)
        said = summary(finding, shown)
        objects = [(object_name(finding, number), number) for number in shown]
        drawn = gr.Image(str(picture), alt_text=said)
        chosen = gr.Dropdown(objects, value=shown[0] if shown else None)
        return as_status(said), drawn, finding.table(shown), *files_of(picture, results), chosen, drawn

    def nothing(self, why: str) -> tuple[Any, ...]:
        return as_status(why), None, [], *files_of(None, None), gr.Dropdown([], value=None), None

    def subject(self, finding: ObjectFinding, value: Any) -> Found | str:
        nothing = "Nothing is shown: lower the score, or click a place in the image."
        return finding.object(one_of(value, range(len(finding.found)), nothing))


def object_name(finding: ObjectFinding, number: int) -> str:
    its = finding.object(number)
    return f"{number + 1}: {its.name} {its.score:.2f}"


def summary(finding: ObjectFinding, shown: Sequence[int]) -> str:
    counts = Counter(str(finding.found.data["class_name"][number]) for number in shown)
    kinds = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    several = f"{len(shown)} objects" if len(shown) != 1 else "1 object"
    return f"{several} {f'({kinds}) ' if kinds else ''}in {finding.about}"
