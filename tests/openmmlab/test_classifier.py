import torch

from maxvit_mm.network import VARIANTS
from maxvit_mm.openmmlab.classifier import MaxViTClassifier

# MaxViT-T's of the table in the paper's code, each with a head of 1000 classes
WITH_HEAD = dict(tiny=30_916_528, small=68_927_956, base=119_467_708, large=211_785_560, xlarge=474_951_952)


def test_parameters_with_a_head_are_those_of_the_official_network():
    assert WITH_HEAD.keys() == VARIANTS.keys() - {"pico"}
    for arch, parameters in WITH_HEAD.items():
        with torch.device("meta"):
            assert sum(p.numel() for p in MaxViTClassifier(arch).parameters()) == parameters
