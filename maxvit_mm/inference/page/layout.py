"""What a visitor sees: Gradio's components, and what happens when one of them is used."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ..attention_pictures import save
from ..explaining import GRADIENTS, Place
from .finder import Finder
from .finding import COUNTED, Finding
from .folder import Folder

AGE = 3600  # seconds after which what a visitor left is deleted
FEW = 12  # classes that have a switch each; more of them have a list to choose from
NETWORK: dict[str, Any] = dict(concurrency_id="network", concurrency_limit=1)  # one job at a time
WELCOME = "Drop an image, paste one or take one with the camera."
FORGOTTEN = "The page keeps an image for an hour at most, and this one is gone: send it again."
MAPS = {
    "Attention in windows, last block": "block",
    "Attention in the grid, last block": "grid",
    "Attention rolled out through the stage": "rollout",
    "Attention rolled out through all stages up to it": "stages",
    "Grad-CAM: what raised the score": "gradient",
    "HiResCAM: what raised the score, cell by cell": "local",
    "Effective receptive field": "field",
}
PLACE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*[,; ]\s*(\d+(?:\.\d*)?)\s*")


class Page:
    """The components of the page: `blocks` is Gradio's application.

    Args:
        score: where the slider starts.
        folder: for the files that visitors are given.
        examples: images that a visitor may choose.
    """

    def __init__(self, finder: Finder, score: float, folder: Folder, examples: Sequence[Path]):
        self.finder, self.folder = finder, folder
        self.names = finder.classes.names
        with gr.Blocks(title="maxvit_mm", analytics_enabled=False, delete_cache=(AGE // 6, AGE)) as blocks:
            self.finding = gr.State(time_to_live=AGE)
            gr.Markdown("# What the detector finds")
            with gr.Row():
                with gr.Column(scale=2, min_width=280):
                    self.add_choices(score, examples)
                with gr.Column(scale=5, min_width=320):
                    self.said = gr.HTML(as_status(WELCOME))
                    with gr.Tab("Found"):
                        self.add_results()
                    with gr.Tab("Where it looked"):
                        self.add_attention()
            self.connect()
        self.blocks = blocks

    def add_choices(self, score: float, examples: Sequence[Path]) -> None:
        self.upload = gr.Image(
            label="Your image",
            type="filepath",
            sources=["upload", "clipboard", "webcam"],
            height=280,
            alt_text="The image that you sent",
            buttons=["fullscreen"],
        )
        if examples:
            gr.Examples([[str(file)] for file in examples], [self.upload], label="Examples", api_visibility="private")
        lowest = self.finder.detector.score_thr
        self.score = gr.Slider(lowest, 1, score, step=0.01, label="Lowest score that is shown")
        if len(self.names) <= FEW:
            self.wanted = gr.CheckboxGroup(list(self.names), value=list(self.names), label="Classes")
        else:
            info = "Choose some to see only these."
            self.wanted = gr.Dropdown(list(self.names), value=[], multiselect=True, label="Classes", info=info)

    def add_results(self) -> None:
        self.picture = gr.Image(label="Found objects", interactive=False, buttons=["fullscreen"])
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
                self.map_of = gr.Image(
                    label="Click where to look from, or choose below", interactive=False, buttons=[], height=240
                )
                self.object = gr.Dropdown([], label="Look from the box of", interactive=True)
                self.place = gr.Textbox(label="or from a place, as x,y in pixels", max_lines=1, max_length=30)
            with gr.Column(scale=3, min_width=280):
                stages = [(f"Stage {stage}", stage) for stage in (1, 2, 3, 4)]
                self.stage = gr.Radio(stages, value=3, label="Which stage's layers")
                chosen = ["grid", "rollout", "local"]
                self.kinds = gr.CheckboxGroup(list(MAPS.items()), value=chosen, label="Maps")
                self.look = gr.Button("Show where it looked", variant="primary")
        self.attention = gr.Image(
            label="Where it looked", interactive=False, buttons=["download", "fullscreen"], visible=has_maps
        )

    def connect(self) -> None:
        """Which function each use of a component calls. The network runs for a new image alone."""
        filters = [self.score, self.wanted]
        shown = [self.said, self.picture, self.table, self.picture_file, self.results_file, self.object, self.map_of]
        self.upload.change(
            self.find,
            [self.upload, *filters],
            [self.finding, *shown, self.place, self.attention],
            preprocess=False,  # Gradio would decode the image, however large
            api_visibility="undocumented",
            **NETWORK,
        )
        gr.on(
            [self.score.change, self.wanted.change],
            self.show,
            [self.finding, *filters],
            shown,
            show_progress="hidden",
            trigger_mode="always_last",
            concurrency_limit=2,
            api_visibility="undocumented",
        )
        self.map_of.select(self.point, [self.finding], [self.place], api_visibility="private")
        self.object.input(lambda: "", None, [self.place], api_visibility="private")
        self.look.click(
            self.explain,
            [self.finding, self.object, self.place, self.stage, self.kinds],
            [self.attention],
            api_visibility="undocumented",
            **NETWORK,
        )

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
        names = wanted if len(self.names) <= FEW else wanted or self.names
        shown = finding.shown(float(score), set(names))
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

    def point(self, finding: Finding | None, event: gr.SelectData) -> str:
        """Where the picture was clicked, in the image's pixels."""
        if finding is None:
            raise refusal(FORGOTTEN)
        x, y = finding.place(*event.index)
        return f"{x:.0f},{y:.0f}"

    def explain(
        self, finding: Finding | None, number: int | None, place: str, stage: int, kinds: Sequence[str]
    ) -> Any:
        """The picture of where it looked."""
        if finding is None:
            raise refusal("Send an image first.")
        at = place_for(finding, number, place)
        known = kinds if not place else [kind for kind in kinds if kind not in GRADIENTS]
        if kinds and not known:
            raise refusal("Grad-CAM and HiResCAM explain an object's score: choose an object, or another map.")
        try:
            figure = self.finder.attention(finding, at, known, stage - 1)
        except ValueError as error:
            raise refusal(str(error)) from error
        file = self.folder.new() / "attention.png"
        save(figure, file)
        return gr.Image(str(file), alt_text="Maps of where the detector looked, beside the image")


def place_for(finding: Finding, number: int | None, place: str) -> Place:
    """What is looked from: a place where one is written, or else an object."""
    if place:
        written = PLACE.fullmatch(place)
        if written is None:
            raise refusal(f"{place!r} is no place: write it as 120,80 (x,y).")
        return float(written[1]), float(written[2])
    if number is None:
        raise refusal("Nothing is shown: lower the score, or click a place in the image.")
    return finding.object(number)


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


def refusal(why: str) -> gr.Error:
    return gr.Error(why, title="This cannot be shown", print_exception=False)
