"""MaxViT for OpenMMLab detectors. Importing this is enough: `type='MaxViT'` then exists in every config."""

from .openmmlab import mmcv_ops

mmcv_ops.install()  # before anything imports `mmcv.ops`

from . import fast, moved  # noqa: E402
from .openmmlab import (  # noqa: E402  (they register themselves)
    float_regions,
    hooks,
    layer_decay,
    resumed_schedule,
    watching,
    whole_checkpoints,
)
from .openmmlab.backbone import MaxViT  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = [
    "MaxViT",
    "__version__",
    "fast",
    "float_regions",
    "hooks",
    "layer_decay",
    "moved",
    "resumed_schedule",
    "watching",
    "whole_checkpoints",
]
