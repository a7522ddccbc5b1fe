"""What a visitor of any page sees: Gradio's components, and which of them asks for what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from .answers import FEW, WELCOME, Answers, as_status
from .finder import Finder
from .folder import Folder

AGE = 3600  # seconds after which what a visitor left is deleted
NETWORK: dict[str, Any] = dict(concurrency_id="network", concurrency_limit=1)  # one job at a time


class Page(ABC):
    """The components of the page: `blocks` is Gradio's application. A task has its own.

    Args:
        score: where a slider for scores starts.
        folder: for the files that visitors are given.
        examples: images that a visitor may choose.

    Attributes:
        filters: components by which a visitor chooses among what is found; the network does not run for them.
        shown: those that `Answers.show` gives values, after the sentence on what was found.
        emptied: those that `Answers.reset` gives values.
    """

    title: ClassVar[str]
    answering: ClassVar[type[Answers]]

    def __init__(self, finder: Finder, score: float, folder: Folder, examples: Sequence[Path]):
        self.finder, self.names = finder, finder.predictor.classes.names
        self.answers = self.answering(finder, folder, examples)
        self.filters: list[Any] = []
        self.shown: list[Any] = []
        self.emptied: list[Any] = []
        with gr.Blocks(title="maxvit_mm", analytics_enabled=False, delete_cache=(AGE // 6, AGE)) as blocks:
            self.finding = gr.State(time_to_live=AGE)
            gr.Markdown(f"# {self.title}")
            with gr.Row():
                with gr.Column(scale=1, min_width=280):
                    self.add_upload(examples)
                    self.add_filters(score)
                with gr.Column(scale=2, min_width=320):
                    self.said = gr.HTML(as_status(WELCOME))
                    self.add_results()
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

    def connect(self) -> None:
        """Which function each use of a component calls. The network runs for a new image alone."""
        self.upload.change(
            self.answers.find,
            [self.upload, *self.filters],
            [self.finding, self.said, *self.shown, *self.emptied],
            preprocess=False,  # Gradio would decode the image, however large
            api_visibility="undocumented",
            **NETWORK,
        )
        if self.filters:
            gr.on(
                [each.change for each in self.filters],
                self.answers.show,
                [self.finding, *self.filters],
                [self.said, *self.shown],
                preprocess=False,  # the answers check what they are given
                show_progress="hidden",
                trigger_mode="always_last",
                concurrency_limit=2,
                api_visibility="undocumented",
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
