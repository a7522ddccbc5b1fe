"""torchvision beside a torch that it was not built for: its Python parts import, its compiled ops are absent.

MMPretrain imports torchvision for image transforms, and MMEngine's report of the environment imports it
wherever it is there. Neither calls a compiled op, but `import torchvision` ends in a RuntimeError where the
compiled ops do not load: it describes to torch operators that do not exist then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from .import_guard import watch

NAME = "torchvision"


def guard() -> None:
    """Let `import torchvision` work from here on, whatever torch it was built for, if it is installed.

    A sound one is imported as ever, and only when it is asked for.
    """
    watch(NAME, import_with_or_without_ops)


def import_with_or_without_ops(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Fill the module, and where that fails for its compiled ops, again without them.

    Any other failure is raised.
    """
    try:
        execute(module)
    except RuntimeError as error:  # "operator torchvision::nms does not exist", or it is for another CUDA
        if NAME not in str(error):
            raise
        for half_made in [name for name in sys.modules if name.startswith(f"{NAME}.")]:
            del sys.modules[half_made]
        with without_ops():
            execute(module)


@contextmanager
def without_ops() -> Iterator[None]:
    """No library of compiled ops loads, and what is said to torch about ops of torchvision is passed over."""
    load, register = torch.ops.load_library, torch.library.register_fake

    def refuse(path: Any) -> None:
        raise OSError(f"{path} was built for another torch")  # which torchvision takes for an answer

    def register_fake(op: Any, *arguments: Any, **options: Any) -> Any:
        is_theirs = str(op).startswith(f"{NAME}::")
        return (lambda function: function) if is_theirs else register(op, *arguments, **options)

    vars(torch.ops)["load_library"] = refuse
    vars(torch.library)["register_fake"] = register_fake
    try:
        yield
    finally:
        vars(torch.ops)["load_library"] = load
        vars(torch.library)["register_fake"] = register
