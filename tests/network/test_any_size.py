"""Images and partitions of any size, made by Hypothesis: the network and its twins against the reference."""

import pytest
import reference
import torch
from conftest import randomise
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maxvit_mm import MaxViT

TINY = {"stem_width": 8, "widths": (32, 32, 32, 32), "depths": (1, 1, 1, 1)}
sides = st.integers(32, 150)
partitions = st.one_of(st.integers(1, 12), st.just("scaled"))


@pytest.mark.parametrize("implementation", ["plain", "auto"])
@settings(max_examples=12)
@given(
    height=sides,
    width=sides,
    partition=partitions,
    batch=st.integers(1, 2),
)
@example(height=32, width=32, partition=1, batch=1)
@example(height=32, width=150, partition=12, batch=1)  # a map of one row, in groups of twelve
@example(height=33, width=97, partition="scaled", batch=2)
def test_the_maps_of_any_image_and_partition_are_those_of_the_reference(
    implementation, height, width, partition, batch, no_map_is_too_small
):
    torch.manual_seed(height * width)
    backbone = randomise(MaxViT(TINY, partition_size=partition, implementation=implementation)).eval()
    images = torch.randn(batch, 3, height, width)
    with torch.no_grad():
        maps = backbone(images)
        weights = {name.removeprefix("trunk."): tensor for name, tensor in backbone.state_dict().items()}
        expected = reference.maps(weights, TINY["depths"], images, partition)
    for found, wanted in zip(maps, expected, strict=True):
        assert found.shape == wanted.shape
        assert (found - wanted).abs().max() < 2e-5 * wanted.abs().max()


@settings(max_examples=12)
@given(height=sides, width=sides, partition=partitions)
@example(height=32, width=32, partition=12)
def test_the_twins_gradients_of_any_image_and_partition_are_the_plain_ones(
    height, width, partition, no_map_is_too_small
):
    images = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height * width))
    gradients = []
    for implementation in ("plain", "auto"):
        backbone = randomise(MaxViT(TINY, partition_size=partition, implementation=implementation)).train()
        sum(out.square().mean() for out in backbone(images)).backward()
        gradients.append({name: parameter.grad for name, parameter in backbone.named_parameters()})
    plain, fast = gradients
    # A bias that a norm takes out again has no gradient but rounding: held against the network's largest.
    floor = 1e-5 * max(gradient.abs().max() for gradient in plain.values())
    for name, gradient in plain.items():
        largest = gradient.abs().max()
        assert (fast[name] - gradient).abs().max() <= 1e-3 * largest + floor, name
