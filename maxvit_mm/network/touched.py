"""Whether a module is more than what its class and weights say: defined once, for all twins."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

# Whose `forward`, of classes of theirs alone, is known to do what the weights say.
KNOWN = {
    each.forward
    for each in (
        *(nn.Linear, nn.Conv2d, nn.BatchNorm2d, nn.SyncBatchNorm),
        *(nn.LayerNorm, nn.GELU, nn.Identity, nn.AvgPool2d),
    )
}
THEIRS = ("torch.", "mmengine.")  # mmengine has a SyncBN made into a BatchNorm
METHODS = "forward", "branch", "narrow", "attend"  # what twins stand in for, or call
WEIGHTS = {nn.Parameter, Tensor, type(None)}
OURS = __name__.rpartition(".")[0] + "."
_written: dict[type[nn.Module], list[tuple[str, Any]]] = {}  # methods of our classes, as they are written


def remember(kind: type[nn.Module]) -> None:
    """Note how the methods of a class of ours are written: others may put their own in their place."""
    if kind.__module__.startswith(OURS):
        _written[kind] = [(name, getattr(kind, name)) for name in METHODS if hasattr(kind, name)]


def is_rewritten(kind: type[nn.Module]) -> bool:
    """Whether a class of ours has been given another method."""
    for name, method in _written[kind]:  # noqa: SIM110  # a generator takes longer
        if getattr(kind, name, None) is not method:
            return True
    return False


def touched_inside(layer: nn.Module, names: tuple[str, ...]) -> str | None:
    """The first of a layer's inner modules, with all in them, that has been touched, and how.

    It is asked at each call of a layer. So modules are taken from the dictionaries that hold them.
    """
    for name in names:
        inner: Any = layer
        for part in name.split("."):
            inner = inner._modules[part]
        if is_touched_within(inner):  # names are slow to make: only where they are asked for
            return next(f"{n} {how}" for n, m in inner.named_modules(prefix=name) if (how := touched(m)))
    return None


def is_touched_within(module: nn.Module) -> bool:
    """Whether a module or one in it has been touched."""
    if touched(module) is not None:
        return True
    for child in module._modules.values():  # noqa: SIM110  # a generator takes longer
        if child is not None and is_touched_within(child):
            return True
    return False


def touched(module: nn.Module) -> str | None:
    """How a module is more than what its class and weights say, in words; None where it is not.

    Calling it then does something that a twin, which reads the weights, would leave out.
    """
    own = module.__dict__
    if (
        own.get("_forward_hooks")
        or own.get("_forward_pre_hooks")
        or own.get("_backward_hooks")
        or own.get("_backward_pre_hooks")
    ):
        return "has a hook"
    return rewritten(module)


def rewritten(module: nn.Module) -> str | None:
    """The same, but for hooks, which run around a method that a twin stands in for."""
    own, kind = module.__dict__, type(module)
    if kind in _written:
        if is_rewritten(kind):
            return f"is of class {kind.__name__}, which has been given another method"
    elif kind.forward not in KNOWN or not kind.__module__.startswith(THEIRS):
        return f"is of class {kind.__name__}"
    if "forward" in own or "branch" in own or "narrow" in own or "attend" in own:  # a loop takes longer
        return "has a method of its own"
    if "parametrizations" in own["_modules"]:
        return "is parametrised"
    parameters = own["_parameters"]
    if parameters and not WEIGHTS.issuperset(map(type, parameters.values())):
        return "has weights of another kind"
    return None
