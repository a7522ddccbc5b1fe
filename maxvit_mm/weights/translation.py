"""Names and layouts of another implementation, line by line, into ours and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

# Every module of ours that holds tensors, and of what kind it is. {i} is a stage, {j} a block in it.
BLOCK = "trunk.stages.{i}.{j}"
MODULES = {
    "trunk.stem.conv1": "conv",
    "trunk.stem.norm": "batch norm",
    "trunk.stem.conv2": "conv",
    f"{BLOCK}.mbconv.pre_norm": "batch norm",
    f"{BLOCK}.mbconv.expand": "conv without bias",
    f"{BLOCK}.mbconv.norm1": "batch norm",
    f"{BLOCK}.mbconv.depthwise": "depthwise",
    f"{BLOCK}.mbconv.norm2": "batch norm",
    f"{BLOCK}.mbconv.se.reduce": "conv",
    f"{BLOCK}.mbconv.se.expand": "conv",
    f"{BLOCK}.mbconv.shrink": "conv",
    f"{BLOCK}.mbconv.shortcut": "conv",
    **{
        f"{BLOCK}.{partition}_attention.{name}": kind
        for partition in ("block", "grid")
        for name, kind in {
            "norm1": "layer norm",
            "attention": "table",
            "attention.qkv": "qkv",
            "attention.out": "out",
            "norm2": "layer norm",
            "ffn.0": "linear",
            "ffn.2": "linear",
        }.items()
    },
    "head.norm": "layer norm",
    "head.pre_logits": "linear",
    "head.logits": "linear",
}

COUNTER = "num_batches_tracked"  # of a BatchNorm, with no effect on what it computes
TENSORS = {
    "conv": ("weight", "bias"),
    "conv without bias": ("weight",),
    "depthwise": ("weight",),
    "batch norm": ("weight", "bias", "running_mean", "running_var", COUNTER),
    "layer norm": ("weight", "bias"),
    "linear": ("weight", "bias"),
    "qkv": ("weight", "bias"),
    "out": ("weight", "bias"),
    "table": ("relative_position_bias_table",),
}


def identity(tensor: Tensor) -> Tensor:
    return tensor


class Line(NamedTuple):
    """One tensor of ours and where it is from."""

    ours: str  # a name with {i} and {j} for its indices
    theirs: tuple[str, ...]  # names with the same indices
    read: Callable[..., Tensor] = identity  # from their tensors to ours
    write: Callable[[Tensor], Tensor] = identity  # and back, where there is one of theirs


class Translated(NamedTuple):
    tensors: dict[str, Tensor]
    missing: list[str]  # names of theirs that a line needs beside others that are there
    left_over: list[str]  # names of theirs that no line reads


class Translation:
    """All lines of one implementation.

    Args:
        lines: one for each tensor of ours, those of the head included.
        ignored: a pattern of names of theirs that hold no weights.
    """

    def __init__(self, lines: Iterable[Line], ignored: str = r"(?!)"):
        self.lines = list(lines)
        self.ignored = re.compile(ignored)
        self.patterns = [
            (re.compile(pattern_of(name)), line, place)
            for line in self.lines
            for place, name in enumerate(line.theirs)
        ]
        self.our_patterns = [(re.compile(pattern_of(line.ours)), line) for line in self.lines]

    def to_ours(self, theirs: Mapping[str, Tensor]) -> Translated:
        """Translate their tensors. Whether that makes a whole MaxViT is for the caller to see."""
        found: dict[str, tuple[Line, dict[str, int], dict[int, Tensor]]] = {}
        left_over = []
        for name, tensor in theirs.items():
            used = False
            for pattern, line, place in self.patterns:
                if match := pattern.fullmatch(name):
                    indices = {key: int(value) for key, value in match.groupdict().items()}
                    parts = found.setdefault(line.ours.format(**indices), (line, indices, {}))[2]
                    parts[place] = tensor
                    used = True
            if not used and not self.ignored.fullmatch(name):
                left_over.append(name)
        tensors, missing = {}, []
        for name, (line, indices, parts) in found.items():
            absent = [i for i in range(len(line.theirs)) if i not in parts]
            missing += [line.theirs[i].format(**indices) for i in absent]
            if not absent:
                tensors[name] = line.read(*(parts[i] for i in range(len(parts)))).contiguous()
        return Translated(tensors, missing, left_over)

    def to_theirs(self, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Translate tensors of ours back. Every line has one name of theirs, or this cannot be done."""
        theirs = {}
        for name, tensor in ours.items():
            their_name, line = self.find(name)
            theirs[their_name] = line.write(tensor).contiguous()
        return theirs

    def find(self, ours: str) -> tuple[str, Line]:
        """The name of theirs, and the line, for a tensor of ours."""
        for pattern, line in self.our_patterns:
            if match := pattern.fullmatch(ours):
                indices = {key: int(value) for key, value in match.groupdict().items()}
                return ", ".join(name.format(**indices) for name in line.theirs), line
        raise KeyError(ours)


def pattern_of(name: str) -> str:
    """A regular expression for the names that a template stands for."""
    pattern = re.escape(name)
    for index in "ij":
        pattern = re.sub(rf"\\{{{index}(:02d)?\\}}", rf"(?P<{index}>\\d+)", pattern)
    return pattern


def renamed(modules: Mapping[str, str]) -> list[Line]:
    """Lines for modules that differ in nothing but their names: ours -> theirs."""
    return [
        Line(f"{ours}.{tensor}", (f"{theirs}.{tensor}",))
        for ours, theirs in modules.items()
        for tensor in TENSORS[MODULES[ours]]
    ]
