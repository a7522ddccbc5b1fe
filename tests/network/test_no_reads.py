"""The network neither reads a value on the host nor sends one: no GPU waits, and a CUDA graph can hold it."""

import pytest
import torch
from conftest import SMALL
from reads import no_reads

from maxvit_mm import MaxViT


@pytest.mark.parametrize("partition_size", [7, "scaled"])
@pytest.mark.parametrize("implementation", ["auto", "plain"])
@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_read_or_sent(training, implementation, partition_size, no_map_is_too_small):
    options = dict(partition_size=partition_size, drop_path_rate=0.3, implementation=implementation)
    network = MaxViT(SMALL, **options).train(training)
    images = torch.randn(2, 3, 65, 97)
    with no_reads(), torch.set_grad_enabled(training):
        maps = network(images)
        if training:
            sum(each.square().mean() for each in maps).backward()
