"""What every page answers: new values for its components, or a sentence on why there are none."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from .checks import one_of, some_of
from .finder import Finder
from .finding import Finding
from .folder import Folder

FEW = 12  # classes that have a switch each; of more, a visitor chooses some from a list
WELCOME = "Drop an image, paste one or take one with the camera."
FORGOTTEN = "The page keeps an image for an hour at most, and this one is gone: send it again."


class Answers(ABC):
    """Answers what visitors ask for. What is kept of a visitor is a `Finding`, which each answer gets.

    Args:
        folder: for the files that visitors are given.
        examples: images that a visitor may choose.

    Attributes:
        reset: values of components that a new image empties, beside those that show it.
    """

    reset: ClassVar[tuple[Any, ...]] = ()

    def __init__(self, finder: Finder, folder: Folder, examples: Sequence[Path]):
        self.finder, self.folder, self.examples = finder, folder, examples
        self.classes = finder.predictor.classes
        self.names = self.classes.names

    def find(self, upload: Any, *filters: Any) -> tuple[Any, ...]:
        """A new image, or none where it was taken away: the one place where the network runs to find."""
        if not isinstance(upload, dict) or not isinstance(upload.get("path"), str):
            return (None, *self.nothing(WELCOME), *self.reset)
        try:
            name = upload.get("orig_name")
            finding = self.finder.find(Path(upload["path"]), name if isinstance(name, str) else "")
        except ValueError as error:
            return (None, *self.nothing(str(error)), *self.reset)
        return (finding, *self.show(finding, *filters), *self.reset)

    def show(self, finding: Finding | None, *filters: Any) -> tuple[Any, ...]:
        """What was found, as the filters have it: values of the page's `shown`."""
        return self.nothing(FORGOTTEN) if finding is None else self.shown(finding, *filters)

    @abstractmethod
    def shown(self, finding: Any, *filters: Any) -> tuple[Any, ...]:
        """`show`, where there is something."""

    @abstractmethod
    def nothing(self, why: str) -> tuple[Any, ...]:
        """A sentence, and nothing in the other components."""

    def wanted(self, switched: Any) -> list[str]:
        """The classes that switches or a list choose; in a list none means all."""
        names = some_of(switched, self.names)
        return names if names or len(self.names) <= FEW else list(self.names)

    def example(self, event: gr.SelectData) -> str:
        """The image that was chosen, as if it had been sent."""
        return str(one_of(event.index, self.examples, "Choose one of the examples."))


def as_status(text: str) -> str:
    """Text as an element whose changes screen readers read out."""
    return f'<p role="status">{html.escape(text)}</p>'


def files_of(*paths: Path | None) -> list[gr.DownloadButton]:
    """Buttons that download files; without a file, a button that cannot be pressed."""
    return [gr.DownloadButton(value=path and str(path), interactive=path is not None) for path in paths]
