"""MaxViT for OpenMMLab detectors. Importing this is enough: `type='MaxViT'` then exists in every config."""

from importlib import import_module
from typing import Any

from .openmmlab import mmcv_ops, multimodal_import, panoptic_quality, torchvision_import

torchvision_import.guard()  # before anything imports `torchvision`
multimodal_import.guard()  # and `mmpretrain`
mmcv_ops.install()  # before anything imports `mmcv.ops`
panoptic_quality.install()  # before MMDetection looks for `panopticapi`

from . import fast, moved  # noqa: E402
from .openmmlab import (  # noqa: E402  (they register themselves)
    classification_head,
    float_regions,
    fused,
    hooks,
    late,
    layer_decay,
    official_crop,
    resumed_schedule,
    task_packages,
    watching,
    whole_checkpoints,
)
from .openmmlab.backbone import MaxViT  # noqa: E402
from .version import __version__  # noqa: E402

task_packages.know_forks_configs()  # before a config is read

__all__ = [
    "MaxViT",
    "__version__",
    "classification_head",
    "fast",
    "float_regions",
    "fused",
    "hooks",
    "late",
    "layer_decay",
    "moved",
    "official_crop",
    "resumed_schedule",
    "watching",
    "whole_checkpoints",
]


def __getattr__(name: str) -> Any:
    """`maxvit_mm.Detector`, `Segmenter`, `Classifier`: imported when asked for: OpenMMLab takes seconds.

    Raises:
        ImportError: says what to install, where supervision is missing.
    """
    if name not in ("Detector", "Segmenter", "Classifier"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(".inference.libraries", __name__).need("supervision")
    return getattr(import_module(f".inference.{name.lower()}", __name__), name)
