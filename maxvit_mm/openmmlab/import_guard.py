"""Imports of other packages, looked after where they fail beside what is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType

Fill = Callable[[Callable[[ModuleType], None], ModuleType], None]


class Guard:
    """Among Python's finders, the first that is asked for a module; another one finds it.

    Args:
        fill: is called in the place of what would fill the module, with that and the module.
    """

    def __init__(self, module: str, fill: Fill):
        self.module, self.fill = module, fill

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module as it lies on the disk, to be filled by `fill`."""
        if name != self.module:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            vars(spec.loader)["exec_module"] = partial(self.fill, spec.loader.exec_module)
        return spec


def watch(module: str, fill: Fill) -> None:
    """Have a module filled by `fill` when it is imported from here on; again, it changes nothing."""
    watched = (finder.module for finder in sys.meta_path if isinstance(finder, Guard))
    if module not in watched:
        sys.meta_path.insert(0, Guard(module, fill))
