import pytest
import torch
from conftest import SMALL, randomise
from mmdet.registry import MODELS as DETECTION_MODELS
from mmengine.registry import MODELS
from torch import nn

from maxvit_mm import MaxViT


def small(**arguments):
    return randomise(MaxViT(arch=SMALL, **arguments))


def train_step(backbone, images):
    """One forward and backward pass, returning outputs, gradients and buffers."""
    torch.manual_seed(0)
    outs = backbone(images)
    sum(out.square().mean() for out in outs).backward()
    gradients = {name: p.grad for name, p in backbone.named_parameters()}
    return outs, gradients, dict(backbone.named_buffers())


def test_configs_of_every_openmmlab_project_find_it_by_name():
    for registry in (MODELS, DETECTION_MODELS):
        assert isinstance(registry.build(dict(type="MaxViT", arch="pico")), MaxViT)


@pytest.mark.parametrize("out_indices", [(0, 1, 2, 3), (1, 2), (0,), (3,)])
def test_it_returns_the_maps_asked_for_and_leaves_no_parameter_unused(out_indices):
    backbone = small(out_indices=out_indices).train()
    outs, gradients, _ = train_step(backbone, torch.randn(2, 3, 65, 97))
    assert [tuple(out.shape) for out in outs] == [
        (2, SMALL["widths"][i], -(-65 // (4 << i)), -(-97 // (4 << i))) for i in out_indices
    ]
    assert backbone.out_channels == [out.shape[1] for out in outs]
    assert all(out.is_contiguous() for out in outs)  # compiled mmcv's RoIAlign takes that for granted
    assert [name for name, gradient in gradients.items() if gradient is None] == []


@pytest.mark.parametrize("partition_size", [7, "scaled"])
def test_checkpointing_changes_nothing_but_memory(partition_size):
    images = torch.randn(2, 3, 65, 97)
    arguments = dict(drop_path_rate=0.5, partition_size=partition_size)
    plain = train_step(small(**arguments).train(), images)
    again = train_step(small(with_cp=True, **arguments).train(), images)
    for one, other in zip(plain[0], again[0], strict=True):
        assert one.equal(other)
    for kind in (1, 2):  # gradients; running statistics, which a second forward pass must not move
        assert plain[kind].keys() == again[kind].keys()
        for name, tensor in plain[kind].items():
            torch.testing.assert_close(again[kind][name], tensor, msg=name)


def test_checkpointing_keeps_fewer_activations():
    def kept(with_cp):
        tensors = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: tensors.append(t.numel()) or t, lambda t: t):
            small(with_cp=with_cp).train()(torch.randn(1, 3, 64, 64))
        return sum(tensors)

    assert kept(with_cp=True) < 0.3 * kept(with_cp=False)
    first_two = kept(with_cp=(True, True, False, False))
    assert kept(with_cp=True) < first_two < 0.6 * kept(with_cp=False)


@pytest.mark.parametrize("frozen_stages", [-1, 0, 1, 3, 4])
def test_freezing_stops_gradients_statistics_and_stochastic_depth(frozen_stages):
    backbone = small(frozen_stages=frozen_stages, drop_path_rate=0.5).train()
    frozen = ["trunk.stem.", *[f"trunk.stages.{i}." for i in range(frozen_stages)]]
    frozen = tuple(frozen if frozen_stages >= 0 else [])
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen or "nothing")
    for name, module in backbone.named_modules():
        if name.startswith("trunk.s") and name.count(".") > 1:
            assert module.training != f"{name}.".startswith(frozen or "nothing"), name


def test_norm_eval_holds_the_statistics_and_only_them():
    backbone = small(norm_eval=True).train()
    before = {name: buffer.clone() for name, buffer in backbone.named_buffers()}
    _, gradients, after = train_step(backbone, torch.randn(2, 3, 64, 64))
    assert all(after[name].equal(before[name]) for name in before)
    assert all(gradient is not None for gradient in gradients.values())
    assert not backbone.trunk.stem.norm.training
    assert backbone.trunk.stages[0][0].block_attention.norm1.training


def test_training_moves_the_statistics_at_the_momentum_given():
    backbone = small(norm_cfg=dict(type="BN", momentum=1.0)).train()
    images = torch.randn(2, 3, 64, 64)
    backbone(images)
    mean = backbone.trunk.stem.conv1(images).mean((0, 2, 3))
    torch.testing.assert_close(backbone.trunk.stem.norm.running_mean, mean)


def test_norm_cfg_sets_what_it_names_and_keeps_the_official_rest():
    norm = MaxViT(arch=SMALL, norm_cfg=dict(type="SyncBN", eps=1e-5)).trunk.stem.norm
    assert isinstance(norm, nn.SyncBatchNorm)
    assert (norm.eps, norm.momentum) == (1e-5, pytest.approx(0.01))
    frozen = MaxViT(arch=SMALL, norm_cfg=dict(type="BN", requires_grad=False)).trunk.stem.norm
    assert not frozen.weight.requires_grad


def test_stochastic_depth_acts_in_training_only():
    backbone, images = small(drop_path_rate=0.9), torch.randn(2, 3, 64, 64)
    backbone.eval()
    assert backbone(images)[3].equal(backbone(images)[3])
    backbone.train()
    assert not backbone(images)[3].equal(backbone(images)[3])


def test_tables_can_be_stored_for_another_partition():
    backbone = MaxViT(arch=SMALL, partition_size=8, table_partition_size=8)
    tables = [p for name, p in backbone.named_parameters() if name.endswith("bias_table")]
    assert {tuple(table.shape[1:]) for table in tables} == {(15, 15)}
    stored = MaxViT(arch=SMALL, partition_size=8)
    tables = [p for name, p in stored.named_parameters() if name.endswith("bias_table")]
    assert {tuple(table.shape[1:]) for table in tables} == {(13, 13)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(out_indices=(1, 4)), "out_indices are some of 0, 1, 2, 3 in rising order"),
        (dict(out_indices=(2, 1)), "rising order"),
        (dict(out_indices=()), "rising order"),
        (dict(out_indices=(0, 1), frozen_stages=3), "from -1 .* to 2 .* got 3"),
        (dict(frozen_stages=-2), "from -1"),
        (dict(partition_size=0), "1 or more tokens, or 'scaled'; got 0"),
        (dict(partition_size="auto"), "'scaled'; got 'auto'"),
        (dict(table_partition_size=0), "table_partition_size"),
        (dict(drop_path_rate=1.0), "probability below 1"),
        (dict(with_cp=(True, False)), "or one of them for each of four stages"),
        (dict(norm_cfg=dict(type="GN", num_groups=8)), "BN or SyncBN; got norm_cfg type 'GN'"),
        (dict(norm_cfg=dict(type="SyncBN"), norm_eval=True), "SyncBN with norm_eval=True"),
    ],
)
def test_an_argument_that_cannot_work_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        MaxViT(arch=SMALL, **arguments)
