"""MaxViT from the image to its four maps: Figure 2 of the paper (arXiv 2204.01697)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .attention import AttentionAndFFN
from .checkpointing import checkpointed
from .mbconv import MBConv, batch_norm
from .partition import Block, Grid
from .same_conv import SameConv2d
from .twins import Layer, has_fast_twin, set_implementation
from .variants import OFFICIAL, STRIDES, Convention, Variant

SMALLEST_IMAGE = STRIDES[-1]  # the last stage needs a token
Norm = Callable[[int], nn.Module]


class Stem(Layer):
    """Two 3x3 convolutions, the first of stride 2; nothing after the second.

    images: [b, 3, height, width] -> [b, width of the stem, ceil(height / 2), ceil(width / 2)].
    """

    def __init__(self, width: int, norm: Norm = batch_norm, convention: Convention = OFFICIAL):
        super().__init__()
        self.conv1 = SameConv2d(3, width, stride=2, padding=convention.padding)
        self.norm = norm(width)
        self.act = nn.GELU(approximate=convention.gelu)
        self.conv2 = SameConv2d(width, width)

    @has_fast_twin
    def forward(self, images: Tensor) -> Tensor:
        return self.conv2(self.act(self.norm(self.conv1(images))))


class MaxViTBlock(Layer):
    """MBConv, block attention, grid attention: a token sees its neighbours, then the whole map.

    x: [b, inputs, height, width] -> [b, outputs, ceil(height / stride), ceil(width / stride)].
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        table_partition_size: int,
        drop: float,
        norm: Norm = batch_norm,
        convention: Convention = OFFICIAL,
    ):
        super().__init__()
        self.mbconv = MBConv(inputs, outputs, stride, drop, norm, convention)
        self.block_attention = AttentionAndFFN(outputs, Block, table_partition_size, drop, convention.gelu)
        self.grid_attention = AttentionAndFFN(outputs, Grid, table_partition_size, drop, convention.gelu)

    @has_fast_twin
    def forward(self, x: Tensor, partition_size: tuple[int, int]) -> Tensor:
        x = self.mbconv(x)  # local, learned downsampling
        x = x.permute(0, 2, 3, 1)  # a view: maps are channels-last in memory
        x = self.block_attention(x, partition_size)  # within each window
        x = self.grid_attention(x, partition_size)  # across the whole map
        return x.permute(0, 3, 1, 2)


class Trunk(Layer):
    """Stem and stages.

    Args:
        variant: widths and depths.
        partition_size: `P` of the windows and grids in every stage, or `'scaled'`: ceil(image / 32) down
            and across, as Google's detection runs have it.
        table_partition_size: the partition size that the bias tables are stored for. Any other reads
            them resized.
        drop_path_rate: of stochastic depth; block `i` of `N` drops with `drop_path_rate * i / N`.
        stages: how many of the four stages to build.
        norm: makes a batch normalisation for a number of channels.
        checkpointing: compute a block's activations again in the backward pass, instead of keeping them, in
            all stages or, with a truth value for each, in some.
        convention: whose MaxViT it is, where implementations differ.
        implementation: 'auto', 'plain', or the name of fast twins; see `twins`.
    """

    def __init__(
        self,
        variant: Variant,
        partition_size: int | str = 7,
        table_partition_size: int = 7,
        drop_path_rate: float = 0.0,
        stages: int = len(STRIDES),
        norm: Norm = batch_norm,
        checkpointing: bool | Sequence[bool] = False,
        convention: Convention = OFFICIAL,
        implementation: str = "auto",
    ):
        super().__init__()
        self.partition_size = partition_size
        in_each = [checkpointing] * len(STRIDES) if isinstance(checkpointing, bool) else list(checkpointing)
        self.checkpointing = in_each[:stages]
        self.stem = Stem(variant.stem_width, norm, convention)
        # The schedule counts the blocks of the whole network, also where the last stages are not built.
        blocks_in_all = sum(variant.depths)
        self.stages = nn.ModuleList()
        inputs, built = variant.stem_width, 0
        for width, depth in zip(variant.widths[:stages], variant.depths[:stages], strict=True):
            blocks = nn.ModuleList()
            for i in range(depth):
                stride = 2 if i == 0 else 1
                drop = drop_path_rate * built / blocks_in_all
                blocks.append(
                    MaxViTBlock(inputs, width, stride, table_partition_size, drop, norm, convention)
                )
                inputs, built = width, built + 1
            self.stages.append(blocks)
        self.apply(initialise)
        set_implementation(self, implementation)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[b, 3, height, width] -> a map [b, width, ceil(height / stride), ceil(width / stride)] a stage.

        Any height and width of 32 pixels or more, another at each call.
        """
        if images.ndim != 4:
            raise ValueError(f"images are a batch [b, 3, height, width]; got {list(images.shape)}")
        height, width = images.shape[-2:]
        if min(height, width) < SMALLEST_IMAGE:
            raise ValueError(
                f"MaxViT needs images of at least {SMALLEST_IMAGE}x{SMALLEST_IMAGE} pixels (height x "
                f"width), its stride; got {height}x{width}: resize or pad them in the data pipeline"
            )
        partition_size = self.partition_for(height, width)
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        maps = []
        for stage, checkpointing in zip(self.stages, self.checkpointing, strict=True):
            for block in stage.children():
                run = checkpointed(block) if checkpointing and torch.is_grad_enabled() else block
                x = run(x, partition_size)
            maps.append(x)
        return maps

    def partition_for(self, height: int, width: int) -> tuple[int, int]:
        """The partition size, down and across, for images of `height x width` pixels."""
        if isinstance(self.partition_size, int):
            return self.partition_size, self.partition_size
        # Up, and without a negative number, whose quotient exporters round to zero.
        return (height + STRIDES[-1] - 1) // STRIDES[-1], (width + STRIDES[-1] - 1) // STRIDES[-1]


def initialise(module: nn.Module) -> None:
    """Random weights to train from: LeCun's (unit gain) for convolutions and linear layers, zero biases.

    Every branch then has a say from the first step on. At a standard deviation of 0.02, the custom for
    transformers, attention and FFN of a narrow network add a hundredth to the stream, and it learns
    from its few convolutions for hundreds of steps.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
