"""MMPretrain beside a transformers that it was not written for: without its models of images and text.

It imports them wherever transformers 4.28 or newer is installed, and with them names that the newest no
longer has. No classifier needs them. Where they are left out, MMPretrain says so to who asks for one.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from .import_guard import watch


def guard() -> None:
    """Let `import mmpretrain` work from here on, whatever transformers is installed."""
    watch("mmpretrain.utils.dependency", with_or_without)


def with_or_without(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    execute(module)
    names = vars(module)
    if names.get("WITH_MULTIMODAL") and not has_what_they_import():
        names["WITH_MULTIMODAL"] = False


def has_what_they_import() -> bool:
    try:
        from transformers.modeling_utils import (  # noqa: F401
            GenerationMixin,
            PreTrainedModel,
            apply_chunking_to_forward,
            find_pruneable_heads_and_indices,
            prune_linear_layer,
        )
    except (ImportError, RuntimeError):  # transformers turns what fails within into a RuntimeError
        return False
    return True
