"""A classifier's page: the five best classes with their probabilities."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..class_outputs import ClassDrawing, best_of
from ..classifier import TOP
from ..outputs import save
from .answers import Answers, as_status, files_of
from .finding import Finding
from .layout import Page


class ClassAnswers(Answers):
    """`Answers` of a page that shows classes."""

    def shown(self, finding: Finding, *filters: Any) -> tuple[Any, ...]:
        found = best_of(finding.found)
        best = {self.names[label]: probability for label, probability in found}
        picture = self.folder.new() / f"{finding.stem}_classes.png"
        save(picture, ClassDrawing(self.classes)(finding.frame.image, finding.found))
        first, probability = found[0]
        said = f"{self.names[first]} ({100 * probability:.1f} %) in {finding.about}"
        chosen = gr.Dropdown([(self.names[label], label) for label, _ in found], value=first)
        return as_status(said), best, *files_of(picture), chosen, gr.Image(str(picture), alt_text=said)

    def nothing(self, why: str) -> tuple[Any, ...]:
        return as_status(why), None, *files_of(None), gr.Dropdown([], value=None), None


class ClassPage(Page):
    """`Page` of a classifier."""

    title = "What the classifier says"
    looks_from = "What speaks for a class"
    answering = ClassAnswers

    def add_filters(self, score: float) -> None:
        """None: there are but five classes to look at."""

    def add_results(self) -> None:
        label = gr.Label(num_top_classes=TOP, label="The best classes, with their probabilities")
        self.shown = [label, gr.DownloadButton("Download the picture", interactive=False)]
