"""LoRA on any linear layer trains the same numbers as on the plain network."""

import copy

import peft
import pytest
import torch
from conftest import SMALL, randomise

from maxvit_mm.network import Trunk, find_variant
from maxvit_mm.network.twins import listening, plain

LINEAR = ["qkv", "attention.out", "ffn.0", "ffn.2"]


def adapted(targets):
    network = randomise(Trunk(find_variant(SMALL))).double()
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=targets, init_lora_weights=False)
    return peft.get_peft_model(network, config).train()


def trained(network, steps=3):
    """The losses of some steps, and the adapters' weights after them."""
    torch.manual_seed(0)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.AdamW(parameters, lr=1e-2), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = sum(m.square().mean() for m in network(torch.randn(2, 3, 64, 64).double()))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), parameters


@pytest.mark.usefixtures("no_map_is_too_small")
@pytest.mark.parametrize("targets", [[target] for target in LINEAR] + [LINEAR, ["expand", "shrink"]], ids=str)
def test_lora_trains_the_same_numbers_as_on_the_plain_network(targets):
    network = adapted(targets)
    other, chosen = copy.deepcopy(network), []
    with listening(chosen.append):
        found, parameters = trained(network)
    with plain(other):
        expected, parameters_expected = trained(other)
    assert "cpu" in {choice.runs for choice in chosen}  # what is not adapted keeps its twins
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    assert parameters
    for one, wanted in zip(parameters, parameters_expected, strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-6, atol=1e-9)
    with torch.no_grad():
        images = torch.randn(1, 3, 65, 97).double()
        maps, network = network.eval()(images), network.float()
        for one, wanted in zip(network(images.float()), maps, strict=True):
            torch.testing.assert_close(one.double(), wanted, rtol=1e-3, atol=1e-4)
