"""The page of each task. A row a task; nobody asks which."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..classifier import Classifier
from ..detector import Detector
from ..predictor import Predictor
from ..segmenter import Segmenter
from .class_page import ClassPage
from .finder import Finder
from .layout import Page
from .map_page import MapPage
from .object_finder import ObjectFinder
from .object_page import ObjectPage
from .uploads import Limits


class Row(NamedTuple):
    """What looks at uploads, and what a visitor sees."""

    finder: Callable[..., Finder]
    page: type[Page]


PAGES = {
    Detector.task: Row(ObjectFinder, ObjectPage),
    Segmenter.task: Row(Finder, MapPage),
    Classifier.task: Row(Finder, ClassPage),
}


def finder_of(predictor: Predictor, limits: Limits) -> Finder:
    return PAGES[predictor.task].finder(predictor, limits)


def page_of(finder: Finder) -> type[Page]:
    return PAGES[finder.predictor.task].page
