import pytest
import torch

from maxvit_mm import MaxViT
from maxvit_mm.network import STRIDES, VARIANTS, Trunk, find_variant

# with a 1000-class head, from the released checkpoints' variable lists
PARAMETERS = {
    "tiny": 30_916_528,
    "small": 68_927_956,
    "base": 119_467_708,
    "large": 211_785_560,
    "xlarge": 474_951_952,
}


@pytest.mark.parametrize("arch", PARAMETERS)
def test_a_released_size_has_the_official_number_of_parameters(arch):
    with torch.device("meta"):
        trunk = Trunk(find_variant(arch))
    width = VARIANTS[arch].widths[-1]
    head = 2 * width + (width + 1) * width + (width + 1) * 1000  # norm, linear, linear
    assert sum(p.numel() for p in trunk.parameters()) + head == PARAMETERS[arch]


@pytest.mark.parametrize("arch", VARIANTS)
def test_every_size_builds_as_a_backbone(arch):
    with torch.device("meta"):
        backbone = MaxViT(arch=arch)
        maps = backbone(torch.empty(1, 3, 64, 96))
    assert backbone.out_channels == list(VARIANTS[arch].widths)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (width, 64 / stride, 96 / stride)
        for width, stride in zip(VARIANTS[arch].widths, STRIDES, strict=True)
    ]


def test_an_arch_can_be_spelled_out():
    spelled = find_variant({"stem_width": 64, "widths": [64, 128, 256, 512], "depths": [2, 2, 5, 2]})
    assert spelled == VARIANTS["tiny"]
    least = find_variant({"stem_width": 1, "widths": [32] * 4, "depths": [1] * 4})
    assert least == (1, (32,) * 4, (1,) * 4)


@pytest.mark.parametrize(
    ("arch", "words"),
    [
        ("huge", "no arch 'huge': use one of pico, tiny"),
        ({"widths": (32, 32, 32, 32)}, "keys stem_width, widths, depths"),
        (
            {"stem_width": 8, "widths": (32,) * 4, "depths": (1,) * 4, "heads": 1},
            "keys stem_width, widths, depths",
        ),
        ({"stem_width": 8, "widths": (32, 32, 32), "depths": (1, 1, 1, 1)}, "4 stages"),
        ({"stem_width": 8, "widths": (32,) * 5, "depths": (1,) * 4}, "4 stages"),
        ({"stem_width": 8, "widths": (32,) * 4, "depths": (1,) * 3}, "4 stages"),
        ({"stem_width": 8, "widths": (32,) * 4, "depths": (1,) * 5}, "4 stages"),
        ({"stem_width": 8, "widths": (32, 0, 64, 96), "depths": (1,) * 4}, "multiples of 32"),
        ({"stem_width": 8, "widths": (32, -32, 64, 96), "depths": (1,) * 4}, "multiples of 32"),
        ({"stem_width": 0, "widths": (32,) * 4, "depths": (1,) * 4}, "at least 1"),
        ({"stem_width": 8, "widths": (32, 48, 64, 96), "depths": (1, 1, 1, 1)}, "multiples of 32"),
        ({"stem_width": 8, "widths": (32, 32, 64, 96), "depths": (1, 0, 1, 1)}, "at least 1"),
    ],
)
def test_an_arch_that_cannot_be_says_why(arch, words):
    with pytest.raises(ValueError, match=words):
        find_variant(arch)
