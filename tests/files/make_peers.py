"""Stores what timm and torchvision compute at reduced widths, with random weights in every tensor.

    python tests/files/make_peers.py     (in the environment of `make test-peers`)

No pretrained weight is in these files.
"""

import dataclasses
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

import timm  # noqa: E402
from conftest import randomise  # noqa: E402
from timm.models.maxxvit import MaxxVit, model_cfgs  # noqa: E402
from torchvision.models.maxvit import MaxVit  # noqa: E402

WIDTHS, DEPTHS, STEM, CLASSES = (32, 32, 32, 64), (1, 1, 1, 2), 16, 10


def timm_small():
    cfg = dataclasses.replace(
        model_cfgs["maxvit_tiny_tf"], embed_dim=WIDTHS, depths=DEPTHS, stem_width=STEM, head_hidden_size=64
    )
    return MaxxVit(cfg, img_size=224, num_classes=CLASSES)


def torchvision_small():
    return MaxVit(
        input_size=(224, 224),
        stem_channels=STEM,
        partition_size=7,
        block_channels=list(WIDTHS),
        block_layers=list(DEPTHS),
        head_dim=32,
        stochastic_depth_prob=0.2,
        num_classes=CLASSES,
    )


def store(name, model):
    randomise(model).eval()
    pixels_8bit = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    images = pixels_8bit / 64 - 2
    with torch.no_grad():
        if hasattr(model, "stem") and hasattr(model, "blocks"):
            x, maps = model.stem(images), []
            for block in model.blocks:
                x = block(x)
                maps.append(x)
        else:
            maps = model.forward_intermediates(images)[1][-4:]
        outputs = {f"map_{i}": m[..., :: 8 >> i, :: 8 >> i].contiguous() for i, m in enumerate(maps)}
        outputs["logits"] = model(images)
    save_file({"input": pixels_8bit, **outputs}, HERE / f"{name}_outputs.safetensors")
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, HERE / f"{name}.safetensors")


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"timm {timm.__version__}")
    store("timm", timm_small())
    store("torchvision", torchvision_small())
