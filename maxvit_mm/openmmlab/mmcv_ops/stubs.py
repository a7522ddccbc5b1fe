"""What a package put in the place of mmcv's ops, because it was imported before they were there."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType


def refuse_stubs() -> None:
    """Stop where a package of OpenMMLab's keeps stubs, which would fail at the first step.

    onedl's MMDetection catches that `mmcv.ops` cannot be imported, and puts functions in their place that
    raise. Other modules, classes and registries have taken them since, so they cannot be exchanged.
    OpenMMLab's own does not catch it: there the import itself fails, and works once ours is done.

    Raises:
        ImportError: says what to import first.
    """
    found = [] if "mmcv.ops" in sys.modules else list(stubs())  # where it could be imported, none were needed
    if found:
        module, name = found[0]
        package = module.partition(".")[0]
        raise ImportError(
            f"{package} was imported before maxvit_mm, and where mmcv has no compiled ops it keeps stubs in "
            f"their place ({name} in {module}, {len(found)} in all): import maxvit_mm before {package}"
        )


def stubs() -> Iterator[tuple[str, str]]:
    """Modules, and names in them that were to come out of `mmcv.ops`, while that cannot be imported."""
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("mm") or not getattr(module, "__file__", None):
            continue
        for name in names_of_ops(module):
            if name in vars(module):
                yield module.__name__, name


def names_of_ops(module: ModuleType) -> Iterator[str]:
    """What a module calls the ops that it imports, at its top or in a function."""
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError):  # compiled, or gone
        return
    if "mmcv.ops" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmcv.ops"):
            yield from (alias.asname or alias.name for alias in node.names)
