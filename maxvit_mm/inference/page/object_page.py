"""What a visitor of a detector's page sees: objects and filters."""

from __future__ import annotations

import gradio as gr

from .layout import Page, picture_of, switches
from .object_answers import ObjectAnswers
from .object_finding import COUNTED


class ObjectPage(Page):
    """`Page` of a detector."""

    title = "What the detector finds"
    looks_from = "Look from the box of an object"
    answering = ObjectAnswers

    def add_filters(self, score: float) -> None:
        lowest = self.finder.predictor.score_thr
        slider = gr.Slider(lowest, 1, score, step=0.01, label="Lowest score")
        self.filters = [slider, switches(list(self.names))]

    def add_results(self) -> None:
        picture = picture_of()
        with gr.Row():
            picture_file = gr.DownloadButton("Download the picture", interactive=False)
            results_file = gr.DownloadButton("Download the objects (JSON)", interactive=False)
        table = gr.Dataframe(
            headers=list(COUNTED),
            type="array",
            interactive=False,
            label="Objects; x and y are the left and the top of the box, in pixels",
            max_height=320,
            buttons=["copy"],
        )
        self.shown = [picture, table, picture_file, results_file]
