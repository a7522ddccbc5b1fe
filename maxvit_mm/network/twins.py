"""The seam between the paper and its fast twins: which implementation of a method runs, and why.

A method of a layer may have *twins*, which compute the same in another way: `@has_fast_twin` above it says
that it may. They are listed in one table, `TWINS`, which `maxvit_mm.fast` fills; the network alone runs as it
is written. A twin that cannot run says why in words, and the next one is asked. Nothing is tried and caught.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as of_all

from .touched import remember, touched_inside

LOG = logging.getLogger("maxvit_mm")
Method = TypeVar("Method", bound=Callable[..., Any])


class Twin(NamedTuple):
    """Another implementation of a layer's method.

    Attributes:
        name: what `implementation` calls it, 'cpu' for instance; the twins of several methods share one.
        devices: the types of device it is for.
        compiles: whether it is an operator of its own to compilers; others leave theirs to them.
        training: whether it is for calls that a backward pass may follow (True), for those that none does
            (False), or for both (None).
        inside: the inner modules, with all in them, whose work it does itself: where one of them has been
            touched, the twin steps aside.
        why_not: takes what `run` takes; returns what keeps the twin from running, in words, or None.
        run: takes the layer and the method's arguments, returns what the method returns.
        slower: takes what `run` takes; returns why the method as it is written is faster, by a rule that was
            measured, or None. It is asked for 'auto' alone.
    """

    name: str
    devices: tuple[str, ...]
    compiles: bool
    training: bool | None
    inside: tuple[str, ...]
    why_not: Callable[..., str | None]
    run: Callable[..., Tensor]
    slower: Callable[..., str | None] = lambda *_: None


class Choice(NamedTuple):
    """What runs a method of a layer, 'plain' or a twin's name, and why the twins before it do not."""

    seam: str
    layer: nn.Module
    runs: str
    why_not: tuple[tuple[str, str], ...]


TWINS: dict[str, list[Twin]] = {}  # by method, 'MBConv.narrow' for instance; the best first
SEAMS: dict[str, Callable[..., Any]] = {}  # the methods that may have twins, as they are written
# PyTorch's own hooks for all modules, of which its older releases do not say whether there are any.
GLOBAL_HOOKS = (
    *(of_all._global_forward_hooks, of_all._global_forward_pre_hooks),
    *(of_all._global_backward_hooks, of_all._global_backward_pre_hooks),
)
_listeners: list[Callable[[Choice], None]] = []
_noted: set[tuple[str, str, str]] = set()


class Layer(nn.Module):
    """A layer of the paper.

    Attributes:
        implementation: 'auto', the first twin that can run; 'plain', none; or the name of twins, of which
            one that cannot run is an error.
        deployed: whether its weights are final, so that twins may keep what they compute from them.
    """

    implementation = "auto"
    deployed = False

    def __init_subclass__(cls) -> None:
        remember(cls)

    @torch.compiler.assume_constant_result
    def answer(self, question: Callable[..., str | None], *rest: Any) -> str | None:
        """`question(self, *rest)`, which compilers do not trace and take for a constant.

        It is a method, since older ones know constants of a module's methods, not of functions that take one.
        """
        return question(self, *rest)


class TwinError(RuntimeError):
    """A twin that was asked for by name, and cannot run; the message says why."""


def has_fast_twin(method: Method) -> Method:
    """Let twins of `TWINS` run in place of a layer's method. As it is written it stays there as `.plain`."""
    seam = method.__qualname__
    SEAMS[seam] = method

    @wraps(method)
    def chosen(self: Layer, x: Tensor, *rest: Any) -> Any:
        twin = choose(seam, self, x, *rest) if seam in TWINS else None
        run = method if twin is None else twin.run
        if rest:
            return run(self, x, *rest)
        given = [x]
        del x  # or this frame would hold a map that the method lets go of
        return run(self, given.pop())

    chosen.plain = method  # type: ignore[attr-defined]
    return chosen  # type: ignore[return-value]


def choose(seam: str, layer: Layer, *arguments: Any) -> Twin | None:
    """The twin that is to run a layer's method, None for the method as it is written.

    Raises:
        TwinError: where the layer's `implementation` names twins that are for calls such as this one,
            and none of them can run.
    """
    wanted, found = layer.implementation, None
    reasons: list[tuple[str, str]] = []
    refusals: list[tuple[str, str]] = []  # of twins that are meant for such calls
    if wanted == "plain" or is_exporting():
        reasons.append(("all", "it was asked for" if wanted == "plain" else "the network is being exported"))
    else:
        for twin in TWINS[seam]:
            if wanted != twin.name and (wanted != "auto" or arguments[0].device.type not in twin.devices):
                continue
            passing = not_meant(twin, *arguments)
            if passing is None and wanted == "auto":
                passing = twin.slower(layer, *arguments)
            reason = passing or why_not(twin, layer, *arguments)
            if reason is None:
                found = twin
                break
            (refusals if passing is None else reasons).append((twin.name, reason))
        if found is None and wanted != "auto" and refusals:
            why = "; ".join(reason for _, reason in refusals)
            raise TwinError(
                f"implementation={wanted!r} cannot run {seam}: {why}. "
                "implementation='auto' takes what can run, 'plain' the network as it is written"
            )
    if not torch.compiler.is_compiling():
        runs = "plain" if found is None else found.name
        others = [reason for reason in reasons if reason[0] != runs]
        note(Choice(seam, layer, runs, (*refusals, *others)))
    return found


def not_meant(twin: Twin, x: Tensor, *_: Any) -> str | None:
    """Why a twin is not for calls such as this one, in words; None if it is."""
    if twin.training not in (None, torch.is_grad_enabled()):
        return f"it is for calls {'with' if twin.training else 'without'} gradients"
    if len(x) == 0:
        return "there are no images"
    if torch.compiler.is_compiling():
        return None if twin.compiles else "torch.compile makes its own"
    if forward_ad._current_level >= 0 or torch._C._functorch.peek_interpreter_stack() is not None:
        return "PyTorch transforms the network, for torch.func or derivatives on the way there"
    return None


def why_not(twin: Twin, layer: Layer, x: Tensor, *arguments: Any) -> str | None:
    """What keeps a twin from a call that it is meant for, in words; None if nothing does."""
    if x.device.type not in twin.devices:
        return f"it is for {' and '.join(twin.devices)}, the map is on {x.device.type}"
    if any(GLOBAL_HOOKS):
        return "a hook for all modules is registered"
    return layer.answer(touched_inside, twin.inside) or twin.why_not(layer, x, *arguments)


def is_exporting() -> bool:
    """Whether the network is being written down for elsewhere, which is to get it as the paper has it."""
    if torch.jit.is_tracing():
        return True
    if torch.compiler.is_dynamo_compiling():
        return dynamo_exports()
    if hasattr(torch.compiler, "is_exporting"):  # from torch 2.7 on
        return torch.compiler.is_exporting()
    return torch.compiler.is_compiling()


@torch.compiler.assume_constant_result
def dynamo_exports() -> bool:
    """Whether the compiler traces for an export. In what it traces, torch 2.11 takes that for true always."""
    from torch._dynamo.symbolic_convert import InstructionTranslator

    said = getattr(torch.compiler, "is_exporting", bool)
    return said() or bool(InstructionTranslator.current_tx().export)


def note(choice: Choice) -> None:
    """Tell those who listen, and, once for each reason, the log."""
    for listen in _listeners:
        listen(choice)
    for twin, reason in choice.why_not:
        if (choice.seam, twin, reason) not in _noted:
            _noted.add((choice.seam, twin, reason))
            LOG.info("%s runs by %s, not by %r: %s", choice.seam, choice.runs, twin, reason)


@contextmanager
def listening(listen: Callable[[Choice], None]) -> Iterator[None]:
    """Within it, `listen` is told of every choice."""
    _listeners.append(listen)
    try:
        yield
    finally:
        _listeners.remove(listen)


def implementations() -> list[str]:
    """The values that `implementation` may take."""
    return ["auto", "plain", *dict.fromkeys(twin.name for twins in TWINS.values() for twin in twins)]


def set_implementation(network: nn.Module, name: str) -> None:
    """Have every layer of a network run by 'auto', 'plain', or the twins of a name.

    Raises:
        ValueError: for a name that no twin has; the message lists those there are.
    """
    if name not in implementations():
        raise ValueError(f"implementation is one of {', '.join(implementations())}; got {name!r}")
    for module in network.modules():
        if isinstance(module, Layer):
            module.implementation = name


@contextmanager
def plain(*networks: nn.Module) -> Iterator[None]:
    """Within it, networks run as they are written."""
    layers = [module for each in networks for module in each.modules() if isinstance(module, Layer)]
    before = [layer.implementation for layer in layers]
    for layer in layers:
        layer.implementation = "plain"
    try:
        yield
    finally:
        for layer, implementation in zip(layers, before, strict=True):
            layer.implementation = implementation
