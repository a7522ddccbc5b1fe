import pytest
import torch
from conftest import SMALL
from mmengine.optim import build_optim_wrapper
from torch import nn

from maxvit_mm import MaxViT
from maxvit_mm.openmmlab.layer_decay import layer_of


class Detector(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(3, 2)


def optimizer(model, **paramwise):
    cfg = dict(
        type="OptimWrapper",
        constructor="MaxViTLayerDecayConstructor",
        optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05),
        paramwise_cfg=paramwise,
    )
    return build_optim_wrapper(model, cfg).optimizer


WITHOUT_DECAY = dict(
    norm_decay_mult=0.0,
    bias_decay_mult=0.0,
    custom_keys={"relative_position_bias_table": dict(decay_mult=0.0)},
)


def test_each_layers_rate_is_the_formulas(capsys):
    model = Detector(MaxViT("tiny"))
    groups = optimizer(model, decay_rate=0.8, **WITHOUT_DECAY).param_groups
    rates = {group["layer"]: group["lr"] for group in groups}
    blocks = 2 + 2 + 5 + 2
    assert rates == {layer: pytest.approx(1e-3 * 0.8 ** (blocks + 1 - layer)) for layer in range(blocks + 2)}
    assert rates[blocks + 1] == 1e-3  # the head's

    layers = {id(p): group["layer"] for group in groups for p in group["params"]}
    counted = {"trunk.stem.": 0, "trunk.stages.0.0.": 1, "trunk.stages.1.1.": 4, "trunk.stages.2.4.": 9}
    counted["trunk.stages.3.1."] = 11
    for name, parameter in model.backbone.named_parameters():
        for beginning, layer in counted.items():
            assert layers[id(parameter)] == layer or not name.startswith(beginning), name
    print(*(f"layer {layer:2}: {rate:.2e}" for layer, rate in sorted(rates.items())), sep="\n")


def test_every_parameter_is_in_one_group_and_norms_biases_and_tables_do_not_decay():
    model = Detector(MaxViT(SMALL))
    groups = optimizer(model, decay_rate=0.7, **WITHOUT_DECAY).param_groups
    found = [id(p) for group in groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in model.parameters())
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        free = parameter.ndim == 1 or name.endswith("relative_position_bias_table")
        assert decay[id(parameter)] == (0 if free else 0.05), name
    assert len(groups) <= 3 * 7  # decay, no decay, tables; of the stem, five blocks and the head


def test_frozen_stages_and_left_out_ones_keep_the_places_of_the_others():
    model = Detector(MaxViT(SMALL, out_indices=(1, 2), frozen_stages=1))
    groups = optimizer(model, decay_rate=0.5).param_groups
    assert {group["layer"] for group in groups} == {2, 3, 4, 5}  # stem and first stage frozen, no fourth


def test_what_cannot_be_placed_is_an_error():
    model = Detector(MaxViT(SMALL))
    model.backbone.extra = nn.Parameter(torch.zeros(3))
    with pytest.raises(ValueError, match=r"parameter backbone\.extra is neither in MaxViT's stem"):
        optimizer(model, decay_rate=0.8)
    with pytest.raises(ValueError, match="no backbone of type MaxViT"):
        optimizer(Detector(nn.Linear(2, 2)), decay_rate=0.8)
    with pytest.raises(ValueError, match="neither in MaxViT's stem"):
        layer_of("backbone.trunk.head.weight", [1])


@pytest.mark.parametrize("decay_rate", [1.0, 0.5])
def test_a_backbone_may_learn_slower_than_the_heads_as_a_whole(decay_rate):
    model = Detector(MaxViT(SMALL))
    groups = optimizer(model, decay_rate=decay_rate, backbone_lr_mult=0.1, **WITHOUT_DECAY).param_groups
    rates = {group["layer"]: group["lr"] for group in groups}
    blocks = 5
    wanted = {layer: pytest.approx(1e-4 * decay_rate ** (blocks + 1 - layer)) for layer in range(blocks + 1)}
    assert rates == {**wanted, blocks + 1: 1e-3}
    assert all(group["weight_decay"] == 0 for group in groups for p in group["params"] if p.ndim == 1)


@pytest.mark.parametrize("paramwise", [dict(decay_rate=0), dict(decay_rate=1.5), dict(backbone_lr_mult=-1)])
def test_a_rate_must_make_sense(paramwise):
    with pytest.raises(ValueError, match="must be above 0 and at most 1"):
        optimizer(Detector(MaxViT(SMALL)), **paramwise)


def test_a_rate_must_be_given():
    with pytest.raises(ValueError, match=r"needs a decay_rate, such as 0\.8, or a backbone_lr_mult"):
        optimizer(Detector(MaxViT(SMALL)), norm_decay_mult=0.0)
