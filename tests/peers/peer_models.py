"""timm and torchvision beside a torch that torchvision's ops were not built for: their models need none."""

import torch

register_fake = torch.library.register_fake
torch.library.register_fake = lambda *names, **options: lambda function: function
try:
    import timm
    from torchvision.models import maxvit_t
finally:
    torch.library.register_fake = register_fake

__all__ = ["maxvit_t", "timm"]
