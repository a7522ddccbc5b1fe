"""What the components of a visitor's page say, checked: a program may say anything in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import gradio as gr

T = TypeVar("T")
FARTHEST = 10**9  # pixels, beyond any image's


def refusal(why: str) -> gr.Error:
    """A sentence for the visitor, in place of an answer."""
    return gr.Error(why, title="This cannot be shown", print_exception=False)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FARTHEST


def score_of(value: Any) -> float:
    """What the slider says."""
    if not is_number(value) or not 0 <= value <= 1:
        raise refusal("The lowest score is a number from 0 to 1.")
    return float(value)


def some_of(value: Any, known: Sequence[str]) -> list[str]:
    """What is chosen from a list of words, in the list's order."""
    chosen = value or []
    if not isinstance(chosen, list) or not all(each in known for each in chosen):
        raise refusal(f"Choose among {', '.join(known)}.")
    return [each for each in known if each in chosen]


def one_of(value: Any, several: Sequence[T], otherwise: str) -> T:
    """The one at a place, from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(several):
        raise refusal(otherwise)
    return several[value]


def place_of(value: Any) -> tuple[float, float]:
    """Where a picture was clicked, in its pixels."""
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(is_number, value)):
        raise refusal("Click a place in the picture.")
    return value[0], value[1]
