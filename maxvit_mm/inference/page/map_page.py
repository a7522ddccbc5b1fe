"""A segmenter's page: an overlay with a legend, the classes' shares, the label map."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..map_outputs import MapDrawing, write_map
from ..outputs import save
from ..segmenter import only, shares_of
from .answers import Answers, as_status, files_of
from .finding import Finding
from .layout import Page, picture_of, switches

SHARES = ("class", "number", "share of the pixels")


class MapAnswers(Answers):
    """`Answers` of a page that shows label maps."""

    def shown(self, finding: Finding, *filters: Any) -> tuple[Any, ...]:
        (wanted,) = filters
        labels = only(finding.found, [self.names.index(name) for name in self.wanted(wanted)])
        shares = shares_of(labels, len(self.names))
        folder = self.folder.new()
        picture, file = folder / f"{finding.stem}_classes.png", folder / f"{finding.stem}_label_map.png"
        save(picture, MapDrawing(self.classes)(finding.frame.image, labels))
        write_map(file, labels, self.classes)
        several = "1 class" if len(shares) == 1 else f"{len(shares)} classes"
        said = f"{several} in {finding.about}"
        table = [[self.names[label], label, f"{100 * share:.2f} %"] for label, share in shares]
        drawn = gr.Image(str(picture), alt_text=said)
        first = shares[0][0] if shares else None
        chosen = gr.Dropdown([(self.names[label], label) for label, _ in shares], value=first)
        return as_status(said), drawn, table, *files_of(picture, file), chosen, drawn

    def nothing(self, why: str) -> tuple[Any, ...]:
        return as_status(why), None, [], *files_of(None, None), gr.Dropdown([], value=None), None


class MapPage(Page):
    """`Page` of a segmenter."""

    title = "What the segmenter sees"
    looks_from = "Look from the pixels of a class"
    answering = MapAnswers

    def add_filters(self, score: float) -> None:
        self.filters = [switches(list(self.names))]

    def add_results(self) -> None:
        picture = picture_of()
        with gr.Row():
            picture_file = gr.DownloadButton("Download the picture", interactive=False)
            map_file = gr.DownloadButton("Download the label map (PNG)", interactive=False)
        table = gr.Dataframe(
            headers=list(SHARES),
            type="array",
            interactive=False,
            label="Classes; the label map has their numbers",
            max_height=320,
            buttons=["copy"],
        )
        self.shown = [picture, table, picture_file, map_file]
