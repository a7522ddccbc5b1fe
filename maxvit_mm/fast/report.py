"""Which implementation of each method runs, and why not the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..network.checkpointing import statistics_untouched
from ..network.twins import SEAMS, Choice, listening


class Row(NamedTuple):
    """How some layers run one of their methods.

    Attributes:
        seam: the method, 'MBConv.narrow' for instance.
        layers: the names of the layers.
        runs: 'plain', the name of the twin that runs, or 'in an outer twin', which does the method's work.
        why_not: the twins before it, by name, and what keeps each from running.
    """

    seam: str
    layers: tuple[str, ...]
    runs: str
    why_not: tuple[tuple[str, str], ...]


class Report(list[Row]):
    """Rows, which print as a table."""

    def __str__(self) -> str:
        lines = ["| method | layers | runs | not, and why |", "|---|---|---|---|"]
        for row in self:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in row.why_not)
            lines.append(f"| {row.seam} | {len(row.layers)} | {row.runs} | {reasons} |")
        return "\n".join(lines)


def report(network: nn.Module, images: Tensor) -> Report:
    """What runs when `network` takes `images`, in its mode and with gradients or not as the caller has them.

    The network is run once. Its statistics and PyTorch's random numbers are as before afterwards.

    Args:
        network: a `MaxViT`, or anything that has one inside.
        images: what it takes, [b, 3, height, width].

    Returns:
        a row for each method that may have twins and each way it runs; `print` shows a table.

    Raises:
        ValueError: where no layer of MaxViT is seen to run, as in a network that has been compiled.
    """
    names = {module: name for name, module in network.named_modules()}
    choices: list[Choice] = []
    with listening(choices.append), undisturbed(network, images):
        network(images)
    found: dict[tuple, list[str]] = {}
    for choice in (choice for choice in choices if choice.layer in names):  # not another thread's
        key = choice.seam, choice.runs, choice.why_not
        found.setdefault(key, []).append(names[choice.layer])
    if not found:
        raise ValueError("no layer of MaxViT was seen to run: give `report` the network, not a compiled one")
    rows = [Row(seam, tuple(layers), runs, why_not) for (seam, runs, why_not), layers in found.items()]
    outer = [Row(seam, (), "in an outer twin", ()) for seam in SEAMS]
    return Report([*rows, *(row for row in outer if row.seam not in {row.seam for row in rows})])


@contextmanager
def undisturbed(network: nn.Module, images: Tensor) -> Iterator[None]:
    """Within it, a network counts into copies of its statistics, and random numbers are of its own."""
    devices = [images.device] if images.device.type == "cuda" else []
    with statistics_untouched(network), torch.random.fork_rng(devices):
        yield
