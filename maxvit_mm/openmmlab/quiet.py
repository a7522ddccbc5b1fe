"""Warnings of the libraries beneath that say nothing to whoever uses them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# How they begin: they are for who writes a library's parts, or for who reads its defaults.
FOR_AUTHORS = (
    "``build_loss`` would be deprecated",
    "Default ``avg_non_ignore`` is False",
    "The draw is False",
    "For binary segmentation, we suggest using",
)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within it, parts are built without them."""
    with warnings.catch_warnings():
        for message in FOR_AUTHORS:
            warnings.filterwarnings("ignore", message=re.escape(message))
        yield


@contextmanager
def without(message: str) -> Iterator[None]:
    """Within it, no warning that begins so, as far as other threads leave the filters alone.

    `catch_warnings` would bring back, at its end, what another thread had for a while: images are decoded in
    one without any warnings, and none would ever be seen again.
    """
    warnings.filterwarnings("ignore", message=re.escape(message))
    own = ("ignore", re.compile(re.escape(message), re.IGNORECASE), Warning, None, 0)
    try:
        yield
    finally:
        filters: Any = warnings.filters
        with suppress(ValueError):  # another thread's were taken away, and this one with them
            filters.remove(own)
