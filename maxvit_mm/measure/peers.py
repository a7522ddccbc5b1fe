"""MaxViT-T, ours and others', and the usual alternative, for a benchmark; the others need not be there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from ..openmmlab.backbone import MaxViT


class Work(NamedTuple):
    """One row: what is done, on which images."""

    kind: str  # 'forward' or 'training step'
    batch: int
    height: int
    width: int
    dtype: str
    compiled: bool
    scaled: bool  # the partition: image / 32, or 7
    autocast: bool = False  # the forward pass in bf16: float32 weights, cast at each call; else cast before
    call: str = ""  # 'first' or 'second' at a size that was never seen; else any later one

    def __str__(self) -> str:
        dtype = f"{self.dtype} by autocast" if self.autocast else self.dtype
        how = "compiled" if self.compiled else "eager"
        partition = "image/32" if self.scaled else "7"
        call = f", {self.call} call at a new size" if self.call else ""
        size = f"{self.batch} x {self.height} x {self.width}"
        return f"{self.kind}, {size}, {dtype}, {how}, P = {partition}{call}"


class CannotRunError(Exception):
    """A candidate that has no way to do a work."""


def ours(work: Work, **arguments: Any) -> MaxViT:
    return MaxViT("tiny", partition_size="scaled" if work.scaled else 7, **arguments)


def ours_plain(work: Work) -> nn.Module:
    return ours(work, implementation="plain")  # the network as the paper has it, nothing made faster


def ours_deployed(work: Work) -> nn.Module:
    if work.kind != "forward":
        raise CannotRunError("a deployed network does not train")
    network = ours(work)
    network.switch_to_deploy()
    return network


def ours_checkpointed(work: Work) -> nn.Module:
    if work.kind == "forward":
        raise CannotRunError("activations are kept, or not, in training only")
    return ours(work, with_cp=True)


def timm_network(work: Work) -> nn.Module:
    import timm

    size = (work.height, work.width)
    divisor = 32 if work.scaled else 32 * 7
    if any(side % divisor for side in size):
        raise CannotRunError(f"timm needs sides that {divisor} divides")
    options: dict[str, Any] = {} if work.scaled else {"transformer_window_size": (7, 7)}
    return timm.create_model(
        "maxvit_tiny_tf_224.in1k", num_classes=0, global_pool="", img_size=size, **options
    )


def torchvision_network(work: Work) -> nn.Module:
    from torchvision.models.maxvit import MaxVit

    if work.scaled or work.height % 224 or work.width % 224:
        raise CannotRunError("torchvision needs sides that 224 divides, and partition 7")
    network = MaxVit(
        input_size=(work.height, work.width),
        stem_channels=64,
        partition_size=7,
        block_channels=[64, 128, 256, 512],
        block_layers=[2, 2, 5, 2],
        head_dim=32,
        stochastic_depth_prob=0.0,
    )
    network.classifier = nn.Identity()
    return network


def vit_pytorch_network(work: Work) -> nn.Module:
    from vit_pytorch.max_vit import MaxViT as TheirMaxViT

    if work.scaled or work.height % 224 or work.width % 224:
        raise CannotRunError("vit-pytorch needs sides that 224 divides, and partition 7")
    return TheirMaxViT(
        num_classes=1, dim_conv_stem=64, dim=64, dim_head=32, depth=(2, 2, 5, 2), window_size=7
    )


def swin_tiny(work: Work) -> nn.Module:
    from mmdet.models.backbones import SwinTransformer

    return SwinTransformer(drop_path_rate=0.0)


def channels_last(build: Callable[[Work], nn.Module]) -> Callable[[Work], nn.Module]:
    """The same candidate with its weights in the layout that PyTorch's convolutions are often quicker in."""

    def in_that_layout(work: Work) -> nn.Module:
        return build(work).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    return in_that_layout


def ours_by_twins(work: Work) -> nn.Module:
    """With twins on maps of any size, too, that 'auto' trains as they are written: what its rule rests on."""
    return ours(work, implementation="cuda" if torch.cuda.is_available() else "cpu")


CANDIDATES: dict[str, Callable[[Work], nn.Module]] = {
    "maxvit_mm": ours,
    "maxvit_mm, plain": ours_plain,
    "maxvit_mm, twins": ours_by_twins,
    "maxvit_mm, deployed": ours_deployed,
    "maxvit_mm, with_cp": ours_checkpointed,
    "maxvit_mm, graph": ours,
    "maxvit_mm, deployed, graph": ours_deployed,
    "timm": timm_network,
    "timm, channels-last": channels_last(timm_network),
    "torchvision": torchvision_network,
    "torchvision, channels-last": channels_last(torchvision_network),
    "vit-pytorch": vit_pytorch_network,
    "vit-pytorch, channels-last": channels_last(vit_pytorch_network),
    "Swin-T (mmdet)": swin_tiny,
}
GRAPHS = [name for name in CANDIDATES if name.endswith("graph")]  # whose calls are captured, and replayed
CHANNELS_LAST = [name for name in CANDIDATES if name.endswith("channels-last")]  # so do their images lie
