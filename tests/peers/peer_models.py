"""timm and torchvision, whichever torch they were built for."""

from maxvit_mm.measure.peers import without_torchvision_ops

with without_torchvision_ops():
    import timm
    from torchvision.models import maxvit_t

__all__ = ["maxvit_t", "timm"]
