"""What a config costs, before GPUs are rented. No data set is needed."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from ..network import VARIANTS
from ..openmmlab.classifier import MaxViTClassifier
from ..openmmlab.image_size import scale_of
from ..openmmlab.quiet import quiet_libraries
from ..openmmlab.shipped_configs import find_config
from ..openmmlab.task_packages import read_config
from ..openmmlab.tasks import enter_scope
from .cost import (
    STATES,
    Part,
    count_classifier,
    count_parts,
    has_fixed_shapes,
    inference_bytes,
    training_bytes,
)

HEADER = (
    "| config | image | parameters | multiply-adds | training memory | inference memory |\n"
    "|---|---|---|---|---|---|"
)
NOTES = """\
Parameters in millions, multiply-adds in billions (FLOPs are twice as many), memory in GiB, for one
image. Multiply-adds are those of convolutions and matrix products, attention's included, and one for
each element of norms, activations, softmaxes and sums; of a second stage, with all boxes that test_cfg
keeps and as many masks as detections. Memory is that of live tensors in float32, without a kernel's
workspace; training with gradients, the optimizer's state and averages, without losses. A process holds more:
Python, PyTorch and the readers of images take one to two GiB beside it."""


class Summary(NamedTuple):
    """What one config costs: parts, and bytes where they were counted."""

    name: str
    height: int
    width: int
    parts: list[Part]
    training: int | None
    inference: int | None

    def total(self) -> Part:
        return Part("all", sum(p.parameters for p in self.parts), sum(p.multiply_adds for p in self.parts))

    def breakdown(self) -> str:
        lines = [f"{self.name}, image {self.height} x {self.width}"]
        for part in (*self.parts, self.total()):
            lines.append(f"  {part.name:10} {millions(part):>8} {billions(part):>9}")
        return "\n".join(lines)

    def row(self) -> str:
        """A row of a Markdown table, below `HEADER`."""
        total = self.total()
        cells = [self.name, f"{self.height} x {self.width}", millions(total), billions(total)]
        cells += ["" if size is None else f"{size / 2**30:.1f}" for size in (self.training, self.inference)]
        return f"| {' | '.join(cells)} |"


def millions(part: Part) -> str:
    return f"{part.parameters / 1e6:.1f}M"


def billions(part: Part) -> str:
    return f"{part.multiply_adds / 1e9:.1f}G"


def summarise(name: str, shape: Sequence[int] | None = None) -> Summary:
    """The cost of a config, or of the classifier of a size.

    Raises:
        SystemExit: for an unknown config, or where neither `shape` nor the config says how large images are.
        MissingPackageError: where the config is for a framework that is not installed; says what to install.
    """
    if name in VARIANTS:
        height, width = shape or (224, 224)
        with torch.device("meta"):
            classifier = MaxViTClassifier(name)
        return Summary(name, height, width, count_classifier(classifier, height, width), None, None)
    path = find_config(name)
    cfg = read_config(path)
    height, width = padded(cfg, shape or image_size(cfg, name))
    detector = build(cfg)
    averages = any(hook.get("type") == "EMAHook" for hook in cfg.get("custom_hooks") or [])
    optimizer = ((cfg.get("optim_wrapper") or {}).get("optimizer") or {}).get("type")
    try:
        parts = count_parts(detector, height, width)
        inference = inference_bytes(detector, height, width)
        training = None
        if optimizer in STATES:  # of another one we do not know what it keeps
            training = training_bytes(detector, height, width, optimizer, averages)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SystemExit(f"{name}: {type(detector).__name__} cannot be counted ({error!r})") from error
    return Summary(path.stem, height, width, parts, training, inference)


def build(cfg: Config) -> nn.Module:
    """The network, without values where no shape depends on them."""
    enter_scope(cfg)
    model = deepcopy(cfg.model)
    model.backbone.init_cfg = None  # costs do not depend on weights
    with quiet_libraries(), torch.device("meta" if has_fixed_shapes(model) else "cpu"):
        return MODELS.build(model)


def image_size(cfg: Config, name: str) -> tuple[int, int]:
    """Height and width of a landscape image as the config tests it, of what a segmenter is trained on."""
    scale = scale_of(Config(dict(test_dataloader=cfg.get("test_dataloader"))))
    if scale is None:
        raise SystemExit(f"{name} does not fix the size of images: say it with --shape HEIGHT WIDTH")
    window = (cfg.model.get("data_preprocessor") or {}).get("size")  # to which a segmenter's images are cut
    return (window[0], window[1]) if window else (min(scale), max(scale))


def padded(cfg: Config, shape: Sequence[int]) -> tuple[int, int]:
    """As the data preprocessor pads an image of a shape."""
    divisor = (cfg.model.get("data_preprocessor") or {}).get("pad_size_divisor", 1)
    height, width = (-(-side // divisor) * divisor for side in shape)
    return height, width
