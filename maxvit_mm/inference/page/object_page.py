"""What a visitor of a detector's page sees: objects, filters, and where it looked."""

from __future__ import annotations

import gradio as gr

from .layout import NETWORK, Page, picture_of, switches
from .object_answers import STAGES, WRITTEN, ObjectAnswers
from .object_finder import ObjectFinder
from .object_finding import COUNTED

MAPS = {
    "Attention in windows, last block": "block",
    "Attention in the grid, last block": "grid",
    "Attention rolled out through the stage": "rollout",
    "Attention rolled out through all stages up to it": "stages",
    "Grad-CAM: what raised the score": "gradient",
    "HiResCAM: what raised the score, cell by cell": "local",
    "Effective receptive field": "field",
}


class ObjectPage(Page):
    """`Page` of a detector."""

    title = "What the detector finds"
    answering = ObjectAnswers
    finder: ObjectFinder
    answers: ObjectAnswers

    def add_filters(self, score: float) -> None:
        lowest = self.finder.predictor.score_thr
        slider = gr.Slider(lowest, 1, score, step=0.01, label="Lowest score")
        self.filters = [slider, switches(list(self.names))]

    def add_results(self) -> None:
        with gr.Tab("Found"):
            self.add_found()
        with gr.Tab("Where it looked"):
            self.add_attention()
        files = [self.picture_file, self.results_file]
        self.shown = [self.picture, self.table, *files, self.object, self.map_of]
        self.emptied = [self.place, self.attention]

    def add_found(self) -> None:
        self.picture = picture_of()
        with gr.Row():
            self.picture_file = gr.DownloadButton("Download the picture", interactive=False)
            self.results_file = gr.DownloadButton("Download the objects (JSON)", interactive=False)
        self.table = gr.Dataframe(
            headers=list(COUNTED),
            type="array",
            interactive=False,
            label="Objects; x and y are the left and the top of the box, in pixels",
            max_height=320,
            buttons=["copy"],
        )

    def add_attention(self) -> None:
        has_maps = self.finder.looker is not None
        if not has_maps:
            gr.Markdown("This detector has no MaxViT, whose attention could be shown.")
        with gr.Row(visible=has_maps):
            with gr.Column(scale=2, min_width=280):
                self.map_of = gr.Image(show_label=False, interactive=False, buttons=[], height=240)
                self.object = gr.Dropdown([], label="Look from the box of an object", interactive=True)
                place = "or from a place: click the picture above, or write x,y in pixels"
                self.place = gr.Textbox(label=place, max_lines=1, max_length=WRITTEN)
            with gr.Column(scale=3, min_width=280):
                stages = [(f"Stage {stage}", stage) for stage in STAGES]
                self.stage = gr.Radio(stages, value=3, label="Which stage's layers")
                chosen = ["grid", "rollout", "local"]
                self.kinds = gr.CheckboxGroup(list(MAPS.items()), value=chosen, label="Maps")
                self.look = gr.Button("Show where it looked", variant="primary")
        self.attention = gr.Image(
            show_label=False, interactive=False, buttons=["download", "fullscreen"], visible=has_maps
        )

    def connect(self) -> None:
        super().connect()
        self.map_of.select(self.answers.point, [self.finding], [self.place], api_visibility="private")
        self.object.input(lambda: "", None, [self.place], api_visibility="private")
        self.look.click(
            self.answers.explain,
            [self.finding, self.object, self.place, self.stage, self.kinds],
            [self.attention],
            preprocess=False,  # Gradio knows no object of a visitor whom it has forgotten
            api_visibility="undocumented",
            **NETWORK,
        )
