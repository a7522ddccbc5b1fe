"""Warnings of the libraries beneath that say nothing to whoever uses them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# How they begin: they are for who writes a library's parts, or for who reads its defaults.
FOR_AUTHORS = (
    "``build_loss`` would be deprecated",
    "Default ``avg_non_ignore`` is False",
    "The draw is False",
)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within it, parts are built without them."""
    with warnings.catch_warnings():
        for message in FOR_AUTHORS:
            warnings.filterwarnings("ignore", message=re.escape(message))
        yield
