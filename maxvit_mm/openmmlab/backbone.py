"""MaxViT as OpenMMLab sees it: registry, outputs, freezing, checkpointing and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from mmengine.logging import print_log
from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..fast import chosen_implementation
from ..network import STRIDES, Trunk, deploy, find_convention, find_variant
from ..network.mbconv import BN_EPS, BN_MOMENTUM
from ..weights import CheckpointError, Weights, load_completely, read_weights, recognise


@MODELS.register_module()
class MaxViT(BaseModule):
    """The backbone of `MaxViT: Multi-Axis Vision Transformer <https://arxiv.org/abs/2204.01697>`_.

    Takes images of any height and width of 32 pixels or more, another size at each call.

    Args:
        arch: 'pico', 'tiny', 'small', 'base', 'large' or 'xlarge', or a dict with `stem_width`,
            `widths` (four, multiples of 32) and `depths` (four).
        out_indices: the stages to return, of 0 to 3 (strides 4, 8, 16, 32), in rising order. Stages after
            the last are not built, so that no parameter is without a gradient.
        partition_size: tokens along the side of a window or grid group, in every stage; or `'scaled'`:
            ceil(image / 32) down and across, the partition of Google's detection runs.
        table_partition_size: the partition size the relative-position tables are stored for: 7 in Google's
            released weights, 12 and 16 in timm's for 384 and 512. Any other `partition_size` reads them
            resized, and weights with tables of another size are resized when loaded.
        drop_path_rate: stochastic depth of the last block; 0 in the first, linear between.
        frozen_stages: -1 freezes nothing, 0 the stem, k the stem and the first k stages: no gradient, and
            evaluation mode also while training.
        norm_cfg: `type` 'BN' or 'SyncBN', and any of `eps` (1e-3), `momentum` (0.01; more suits a short
            training from scratch) and `requires_grad`.
        norm_eval: keep every BatchNorm at its running statistics while training.
        with_cp: activation checkpointing, a block at a time: less memory, about a third more time, the
            same results. In every stage, or a truth value for each of the four: the first two keep most.
        convention: 'official', or 'torchvision' for the weights of its `maxvit_t`, which is another function.
        implementation: 'auto' takes the first twin of each layer that can run, 'plain' the network as the
            paper has it, 'cpu' or 'cuda' the twins of that name or an error that says why not;
            `maxvit_mm.fast.report` shows what runs. The environment variable MAXVIT_MM_IMPLEMENTATION,
            where it is set, goes before it.
        init_cfg: OpenMMLab's; `dict(type='Pretrained', checkpoint=...)` loads every tensor or stops.

    Returns (of `forward`): for images [B, 3, H, W] a tuple of maps [B, C, ceil(H / stride), ceil(W /
    stride)], one for each of `out_indices`.

    Raises:
        ValueError: for an argument that cannot work; the message says which would.
    """

    def __init__(
        self,
        arch: str | dict = "tiny",
        out_indices: Sequence[int] = (0, 1, 2, 3),
        partition_size: int | str = 7,
        table_partition_size: int = 7,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        with_cp: bool | Sequence[bool] = False,
        convention: str = "official",
        implementation: str = "auto",
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(init_cfg)
        check_stages(out_indices, frozen_stages)
        check_sizes(partition_size, table_partition_size, drop_path_rate)
        if not isinstance(with_cp, bool) and [type(cp) for cp in with_cp] != [bool] * len(STRIDES):
            raise ValueError(
                f"with_cp is True or False, or one of them for each of four stages; got {with_cp}"
            )
        norm_cfg = complete_norm_cfg(norm_cfg, norm_eval)

        def norm(width: int) -> nn.Module:
            return build_norm_layer(norm_cfg, width)[1]

        variant = find_variant(arch)
        self.out_indices = tuple(out_indices)
        self.out_channels = [variant.widths[i] for i in self.out_indices]
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.convention = convention
        self.deployed = False
        self.pretrained: dict[str, Any] = {}  # what the file of the loaded weights says about them
        self.trunk = Trunk(
            variant,
            partition_size,
            table_partition_size,
            drop_path_rate,
            stages=self.out_indices[-1] + 1,
            norm=norm,
            checkpointing=with_cp,
            convention=find_convention(convention),
            implementation=chosen_implementation(implementation),
        )
        for module in self.frozen_modules():
            module.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.trunk(images)
        # Channels-last would spread through the neck to compiled mmcv's RoIAlign, which reads any memory
        # as if it were contiguous: no error, and features of somewhere else.
        return tuple(maps[i].contiguous() for i in self.out_indices)

    def frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        return [self.trunk.stem, *self.trunk.stages[: self.frozen_stages]]

    def train(self, mode: bool = True) -> MaxViT:
        """Training mode, but for what `norm_eval` and `frozen_stages` keep in evaluation mode."""
        if mode and self.deployed:
            raise RuntimeError(
                "a deployed MaxViT cannot be trained: build the detector anew and load its weights"
            )
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        for module in self.frozen_modules():
            module.eval()
        return self

    def switch_to_deploy(self) -> None:
        """Make it faster for inference, with the same outputs to rounding.

        BatchNorms are folded; biases, and on CPUs matrices as oneDNN reads them, are kept between calls.
        Its weights are then no longer a checkpoint's: it refuses to be loaded into, saved or trained.
        """
        if not self.deployed:
            self.eval()
            deploy(self.trunk)
            self.deployed = True
            self.trunk.register_state_dict_pre_hook(refuse_to_save)
            self.trunk.register_load_state_dict_pre_hook(refuse_to_load)

    def init_weights(self) -> None:
        """Load the `Pretrained` weights completely, or leave initialisation to MMEngine."""
        if not is_pretrained(self.init_cfg):
            super().init_weights()
            return
        cfg: Any = self.init_cfg
        if "checkpoint" not in cfg:
            raise ValueError("init_cfg type 'Pretrained' needs a checkpoint=FILE")
        source = cfg["checkpoint"]
        weights = read_weights(source, prefix=cfg.get("prefix"))
        check_origin(weights, source, self.convention)
        # A checkpoint may hold what a detector has no use for: the head, and stages after the last output.
        unused = (
            "head.",
            *[f"trunk.stages.{i}." for i in range(len(self.trunk.stages), len(STRIDES))],
        )
        loaded = load_completely(self, weights.tensors, source, may_be_left_over=unused)
        chosen = f": {weights.note}" if weights.note else ""
        print_log(f"MaxViT: loaded {loaded} of {loaded} tensors from {source}{chosen}", "current")
        self.pretrained = weights.about
        self._is_init = True


def refuse_to_save(*_: Any) -> None:
    raise RuntimeError("a deployed MaxViT has no weights to save: save it before switch_to_deploy()")


def refuse_to_load(_: nn.Module, weights: Mapping[str, Any], prefix: str, *__: Any) -> None:
    if any(name.startswith(prefix) for name in weights):
        raise RuntimeError("a deployed MaxViT takes no weights: load them before switch_to_deploy()")


def is_pretrained(init_cfg: dict | list[dict] | None) -> bool:
    def names_weights(cfg: dict) -> bool:
        return cfg.get("type") in ("Pretrained", PretrainedInit)

    if isinstance(init_cfg, list) and any(map(names_weights, init_cfg)):
        raise ValueError(
            "init_cfg type 'Pretrained' sets every parameter: give it as one dict, not in a list"
        )
    return isinstance(init_cfg, dict) and names_weights(init_cfg)


def check_origin(weights: Weights, source: str, convention: str) -> None:
    """Refuse another implementation's weights, by name, and those of another function."""
    origin = recognise(weights.tensors)
    if origin is not None and origin.name != "maxvit_mm":
        raise CheckpointError(
            f"{source} is a checkpoint of {origin.title}: convert it first, with "
            f"`python tools/convert_weights.py {source} maxvit.pth`, and name that"
        )
    if origin is not None and not any(name.startswith("trunk.") for name in weights.tensors):
        raise CheckpointError(
            f"{source} is a whole detector: take its backbone with init_cfg=dict(type='Pretrained', "
            f"checkpoint='{source}', prefix='backbone.')"
        )
    theirs = weights.about.get("convention", convention)
    if theirs != convention:
        raise CheckpointError(
            f"{source} holds weights of the {theirs} MaxViT, another function than the {convention} one: set "
            f"convention='{theirs}' of the backbone"
        )


def check_stages(out_indices: Sequence[int], frozen_stages: int) -> None:
    if isinstance(out_indices, int):
        raise ValueError(f"out_indices is a sequence, such as ({out_indices},); got {out_indices}")
    indices = list(out_indices)
    if not indices or indices != sorted(set(indices)) or not set(indices) <= set(range(len(STRIDES))):
        raise ValueError(f"out_indices are some of 0, 1, 2, 3 in rising order; got {out_indices}")
    if not -1 <= frozen_stages <= indices[-1] + 1:
        raise ValueError(
            f"frozen_stages runs from -1 (nothing) over 0 (the stem) to {indices[-1] + 1} (all that "
            f"out_indices={tuple(indices)} needs); got {frozen_stages}"
        )


def check_sizes(partition_size: int | str, table_partition_size: int, drop_path_rate: float) -> None:
    if partition_size != "scaled" and not is_positive(partition_size):
        raise ValueError(f"partition_size is 1 or more tokens, or 'scaled'; got {partition_size!r}")
    if not is_positive(table_partition_size):
        raise ValueError(f"table_partition_size is 1 or more tokens; got {table_partition_size!r}")
    if not 0 <= drop_path_rate < 1:
        raise ValueError(f"drop_path_rate is a probability below 1; got {drop_path_rate}")


def is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def complete_norm_cfg(norm_cfg: dict | None, norm_eval: bool) -> dict:
    """`norm_cfg` with the official epsilon and momentum where it names none."""
    cfg = {"type": "BN", "eps": BN_EPS, "momentum": BN_MOMENTUM, **(norm_cfg or {})}
    if cfg["type"] not in ("BN", "SyncBN"):
        raise ValueError(f"MaxViT normalises with BN or SyncBN; got norm_cfg type {cfg['type']!r}")
    if cfg["type"] == "SyncBN" and norm_eval:
        raise ValueError(
            "SyncBN with norm_eval=True synchronises nothing: take norm_cfg=dict(type='SyncBN') with "
            "norm_eval=False to train the statistics, or type='BN' with norm_eval=True to freeze them"
        )
    return cfg
