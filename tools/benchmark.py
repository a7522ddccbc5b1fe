"""Ours beside timm, torchvision, vit-pytorch and Swin-T: python tools/benchmark.py"""

import clone  # noqa: F401

from maxvit_mm.commands.benchmark import main

if __name__ == "__main__":
    main()
