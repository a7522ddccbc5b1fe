"""What a visitor of any page sees: Gradio's components, and which of them asks for what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from .answers import FEW, STAGES, WELCOME, WRITTEN, Answers, as_status
from .finder import Finder
from .folder import Folder

AGE = 3600  # seconds after which what a visitor left is deleted
NETWORK: dict[str, Any] = dict(concurrency_id="network", concurrency_limit=1)  # one job at a time

MAPS = {
    "Attention in windows, last block": "block",
    "Attention in the grid, last block": "grid",
    "Attention rolled out through the stage": "rollout",
    "Attention rolled out through all stages up to it": "stages",
    "Grad-CAM: what raised the score": "gradient",
    "HiResCAM: what raised the score, cell by cell": "local",
    "Effective receptive field": "field",
}


class Page(ABC):
    """The components of the page: `blocks` is Gradio's application. A task has its own.

    Args:
        score: where a slider for scores starts.
        folder: for the files that visitors are given.
        examples: images that a visitor may choose.

    Attributes:
        filters: components by which a visitor chooses among what is found; the network does not run for them.
        shown: those of its results, to which `Answers.show` gives values after the sentence on them.
        looks_from: words for what the maps may be for.
    """

    title: ClassVar[str]
    looks_from: ClassVar[str]
    answering: ClassVar[type[Answers]]

    def __init__(self, finder: Finder, score: float, folder: Folder, examples: Sequence[Path]):
        self.finder, self.names = finder, finder.predictor.classes.names
        self.answers = self.answering(finder, folder, examples)
        self.filters: list[Any] = []
        self.shown: list[Any] = []
        with gr.Blocks(title="maxvit_mm", analytics_enabled=False, delete_cache=(AGE // 6, AGE)) as blocks:
            self.finding = gr.State(time_to_live=AGE)
            gr.Markdown(f"# {self.title}")
            with gr.Row():
                with gr.Column(scale=1, min_width=280):
                    self.add_upload(examples)
                    self.add_filters(score)
                with gr.Column(scale=2, min_width=320):
                    self.said = gr.HTML(as_status(WELCOME))
                    with gr.Tab("Found"):
                        self.add_results()
                    with gr.Tab("Where it looked"):
                        self.add_attention()
            self.connect()
        self.blocks = blocks

    def add_upload(self, examples: Sequence[Path]) -> None:
        self.upload = gr.Image(
            label="Your image",
            type="filepath",
            sources=["upload", "clipboard", "webcam"],
            height=280,
            alt_text="The image that you sent",
            buttons=["fullscreen"],
        )
        if examples:
            gr.Markdown("Or choose an example:")
            gallery = gr.Gallery(
                [(str(file), file.name) for file in examples],
                label="Examples",
                show_label=False,
                columns=2,
                height=220,
                object_fit="cover",
                allow_preview=False,
                interactive=False,
                buttons=[],
            )
            gallery.select(self.answers.example, None, [self.upload], api_visibility="private")

    @abstractmethod
    def add_filters(self, score: float) -> None:
        """Add `filters`."""

    @abstractmethod
    def add_results(self) -> None:
        """Add what is `shown`."""

    def add_attention(self) -> None:
        has_maps = self.finder.looker is not None
        if not has_maps:
            gr.Markdown("This model has no MaxViT, whose attention could be shown.")
        with gr.Row(visible=has_maps):
            with gr.Column(scale=2, min_width=280):
                self.map_of = gr.Image(show_label=False, interactive=False, buttons=[], height=240)
                self.subject = gr.Dropdown([], label=self.looks_from, interactive=True)
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
        """Which function each use of a component calls. The network runs for new images and maps alone."""
        shown = [self.said, *self.shown, self.subject, self.map_of]
        self.upload.change(
            self.answers.find,
            [self.upload, *self.filters],
            [self.finding, *shown, self.place, self.attention],
            preprocess=False,  # Gradio would decode the image, however large
            api_visibility="undocumented",
            **NETWORK,
        )
        if self.filters:
            gr.on(
                [each.change for each in self.filters],
                self.answers.show,
                [self.finding, *self.filters],
                shown,
                preprocess=False,  # the answers check what they are given
                show_progress="hidden",
                trigger_mode="always_last",
                concurrency_limit=2,
                api_visibility="undocumented",
            )
        self.map_of.select(self.answers.point, [self.finding], [self.place], api_visibility="private")
        self.subject.input(lambda: "", None, [self.place], api_visibility="private")
        self.look.click(
            self.answers.explain,
            [self.finding, self.subject, self.place, self.stage, self.kinds],
            [self.attention],
            preprocess=False,  # Gradio knows no object of a visitor whom it has forgotten
            api_visibility="undocumented",
            **NETWORK,
        )


def switches(names: list[str]) -> gr.CheckboxGroup | gr.Dropdown:
    """A switch for each class, or a list to choose from."""
    if len(names) <= FEW:
        return gr.CheckboxGroup(names, value=names, label="Classes")
    info = "Choose some to see only these."
    return gr.Dropdown(names, value=[], multiselect=True, label="Classes", info=info)


def picture_of() -> gr.Image:
    """A picture that the page shows."""
    return gr.Image(show_label=False, interactive=False, buttons=["fullscreen"])
