"""The page of each task. A row a task; nobody asks which."""

from __future__ import annotations

from typing import NamedTuple

from ..classifier import Classifier
from ..detector import Detector
from ..predictor import Predictor
from ..segmenter import Segmenter
from .class_page import ClassPage
from .finder import Finder
from .finding import Finding
from .layout import Page
from .map_page import MapPage
from .object_finding import ObjectFinding
from .object_page import ObjectPage
from .uploads import Limits


class Row(NamedTuple):
    """What becomes of a result, and what a visitor sees."""

    finding: type[Finding]
    page: type[Page]


PAGES = {
    Detector.trained: Row(ObjectFinding, ObjectPage),
    Segmenter.trained: Row(Finding, MapPage),
    Classifier.trained: Row(Finding, ClassPage),
}


def finder_of(predictor: Predictor, limits: Limits) -> Finder:
    return Finder(predictor, limits, PAGES[predictor.trained].finding)


def page_of(finder: Finder) -> type[Page]:
    return PAGES[finder.predictor.trained].page
