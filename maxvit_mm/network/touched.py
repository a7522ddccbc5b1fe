"""Whether a module is more than what its class and weights say: defined once, for all twins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# Whose `forward`, of classes of theirs alone, is known to do what the weights say.
KNOWN = {
    each.forward
    for each in (
        *(nn.Linear, nn.Conv2d, nn.BatchNorm2d, nn.SyncBatchNorm),
        *(nn.LayerNorm, nn.GELU, nn.Identity, nn.AvgPool2d),
    )
}
THEIRS = ("torch.", "mmengine.")  # mmengine has a SyncBN made into a BatchNorm
METHODS = ("forward", "narrow", "attend")  # what twins stand in for, or call
WEIGHTS = {nn.Parameter, Tensor, type(None)}
OURS = __name__.rpartition(".")[0] + "."
_written: dict[type[nn.Module], list[Any]] = {}  # the methods of our classes, as they are written


def remember(kind: type[nn.Module]) -> None:
    """Note how the methods of a class of ours are written: others may put their own in their place."""
    if kind.__module__.startswith(OURS):
        _written[kind] = methods(kind)


def methods(kind: type[nn.Module]) -> list[Any]:
    """What twins stand in for, or call, of a class."""
    return [getattr(kind, name, None) for name in METHODS]


def touched_inside(layer: nn.Module, names: tuple[str, ...]) -> str | None:
    """The first of a layer's inner modules, with all in them, that has been touched, and how."""
    for name in names:
        inner = layer.get_submodule(name)
        if any(map(touched, each_in(inner))):  # names are slow to make: only where they are asked for
            return next(f"{n} {how}" for n, m in inner.named_modules(prefix=name) if (how := touched(m)))
    return None


def each_in(module: nn.Module) -> Iterator[nn.Module]:
    """A module and all in it."""
    yield module
    for child in module._modules.values():
        if child is not None:
            yield from each_in(child)


def touched(module: nn.Module) -> str | None:
    """How a module is more than what its class and weights say, in words; None where it is not.

    Calling it then does something that a twin, which reads the weights, would leave out.
    """
    own = module.__dict__
    if any(map(own.get, HOOKS)):
        return "has a hook"
    kind = type(module)
    if kind in _written:
        if _written[kind] != methods(kind):
            return f"is of class {kind.__name__}, which has been given another method"
    elif kind.forward not in KNOWN or not kind.__module__.startswith(THEIRS):
        return f"is of class {kind.__name__}"
    if any(name in own for name in METHODS):
        return "has a method of its own"
    if "parametrizations" in own["_modules"]:
        return "is parametrised"
    if not WEIGHTS.issuperset(map(type, own["_parameters"].values())):
        return "has weights of another kind"
    return None
