"""Classifiers of MMPretrain on MaxViT: the official logits, its own tools, rates, freezing, sizes."""

import json
import shutil

import numpy as np
import pytest
import tensor_bundle
import torch
from conftest import FILES, ROOT, SMALL, about_weights, randomise
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from mmengine.runner import Runner
from runs import forget_runs

from maxvit_mm.commands.convert_weights import main as convert
from maxvit_mm.inference.classify import accuracy
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.openmmlab.tasks import enter_scope
from maxvit_mm.weights import Weights, read_weights, tensorflow, write_weights

pytest.importorskip("mmpretrain", reason="the extra [classification] is not installed")

CONFIG = ROOT / "configs/classification/maxvit_t_in1k.py"
GOLDEN = FILES / "golden"
PHOTOS = sorted((FILES / "photos").glob("*.jpg"))


def classifier_for(about, partition_size="scaled"):
    """MMPretrain's classifier for converted weights, by our config of ImageNet-1k."""
    cfg = Config.fromfile(CONFIG)
    enter_scope(cfg)
    arch = {key: about[key] for key in ("stem_width", "widths", "depths")}
    cfg.model.backbone.update(arch=arch, partition_size=partition_size, drop_path_rate=0.0)
    cfg.model.backbone.table_partition_size = about["table_partition_size"]
    cfg.model.head.update(in_channels=about["widths"][-1], num_classes=about["classes"])
    cfg.model.head.loss.num_classes = cfg.model.data_preprocessor.num_classes = about["classes"]
    return cfg


@pytest.mark.parametrize("case", sorted(path.stem for path in GOLDEN.glob("*.npz")))
def test_converted_golden_weights_give_the_official_logits_in_mmpretrain(case, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorflow, "import_reader", lambda: tensor_bundle.load_checkpoint)
    described = json.loads((GOLDEN / f"{case}.json").read_text())
    source = str(GOLDEN / described["ckpt"])
    convert([source, str(tmp_path / "ours.pth")])
    convert([source, str(tmp_path / "theirs.pth"), "--to", "mmpretrain"])
    partition = 7 if case == "C_w7_224x448" else "scaled"
    cfg = classifier_for(read_weights(str(tmp_path / "ours.pth")).about, partition)
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(torch.load(tmp_path / "theirs.pth", weights_only=True))
    stored = np.load(GOLDEN / f"{case}.npz")
    images, logits = (torch.from_numpy(stored[name]) for name in ("input", "logits"))
    with torch.no_grad():
        found = model(images.permute(0, 3, 1, 2), mode="tensor")
    assert float((found - logits).abs().max() / logits.abs().max()) < 5e-6


@pytest.fixture
def small(tmp_path):
    """Weights of a small classifier of four classes, converted, and photographs in folders of these."""
    variant = {**SMALL, "widths": list(SMALL["widths"]), "depths": list(SMALL["depths"])}
    classifier = randomise(MaxViTClassifier(variant, 4))
    write_weights(tmp_path / "ours.pth", Weights(classifier.state_dict(), about_weights(classes=4)))
    convert([str(tmp_path / "ours.pth"), str(tmp_path / "theirs.pth"), "--to", "mmpretrain"])
    for number, name in enumerate("abcd"):
        (tmp_path / "val" / name).mkdir(parents=True)
        for photo in PHOTOS[: 1 + number % 2]:
            shutil.copy(photo, tmp_path / "val" / name)
    return tmp_path


def test_mmpretrains_own_test_gives_the_accuracy_of_our_command(small, monkeypatch):
    """With labels that the network finds for some of the photographs, not for all."""
    ours = MaxViTClassifier.from_checkpoint(str(small / "ours.pth"))
    cfg = classifier_for(ours.about)
    with torch.inference_mode():
        top1, _, images = accuracy(ours, small / "val", size=64, workers=0)
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.type = "CustomDataset"
    cfg.test_dataloader.dataset.data_root = str(small / "val")
    del cfg.test_dataloader.dataset["split"]
    cfg.test_dataloader.dataset.pipeline[1].size = 64
    cfg.test_evaluator.topk = (1,)
    cfg.merge_from_dict(dict(work_dir=str(small / "run"), load_from=str(small / "theirs.pth")))
    del cfg.default_hooks["visualization"]
    monkeypatch.setenv("LOCAL_RANK", "0")
    forget_runs()
    runner = Runner.from_cfg(cfg)
    metrics = runner.test()
    assert 0 < top1 < 1
    assert images == len(runner.test_dataloader.dataset)
    assert metrics["accuracy/top1"] == pytest.approx(100 * top1)


def test_a_classifier_of_mmpretrains_converts_back_whole(small, capsys):
    convert([str(small / "theirs.pth"), str(small / "back.pth")])
    assert "taken out of a classifier of MMPretrain" in capsys.readouterr().out
    before, after = (read_weights(str(small / name)).tensors for name in ("ours.pth", "back.pth"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_weights_without_a_head_are_no_classifier_of_mmpretrains(small):
    tensors, about, _ = read_weights(str(small / "ours.pth"))
    trunk = {name: tensor for name, tensor in tensors.items() if name.startswith("trunk.")}
    write_weights(small / "trunk.pth", Weights(trunk, {**about, "classes": None}))
    with pytest.raises(SystemExit, match="these weights have none"):
        convert([str(small / "trunk.pth"), str(small / "x.pth"), "--to", "mmpretrain"])


def tiny(**backbone):
    cfg = classifier_for({**SMALL, "classes": 4, "table_partition_size": 7})
    cfg.model.backbone.update(backbone)
    return cfg


def test_learning_rates_fall_block_by_block_and_are_full_in_the_head():
    cfg = tiny()
    model = MODELS.build(cfg.model)
    wrapper = dict(
        type="OptimWrapper",
        optimizer=dict(type="AdamW", lr=1.0),
        constructor="MaxViTLayerDecayConstructor",
        paramwise_cfg=dict(decay_rate=0.5),
    )
    optimizer = build_optim_wrapper(model, wrapper).optimizer
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert found["head.layers.logits.weight"] == found["head.layers.norm.weight"] == 1.0
    assert found["backbone.trunk.stages.3.0.mbconv.shrink.weight"] == 0.5
    assert found["backbone.trunk.stem.conv1.weight"] == 0.5**6


def test_frozen_stages_of_a_classifier_do_not_learn():
    model = MODELS.build(tiny(frozen_stages=2).model).train()
    images = torch.randint(0, 256, (2, 3, 64, 64))
    samples = model.data_preprocessor(dict(inputs=list(images), data_samples=None), training=False)
    model(samples["inputs"]).sum().backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None}
    assert not any(name.startswith(("backbone.trunk.stem", "backbone.trunk.stages.1")) for name in learning)
    assert {"backbone.trunk.stages.2.0.mbconv.shrink.weight", "head.layers.logits.weight"} <= learning


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (75, 101)])
def test_a_classifier_takes_images_of_other_sizes(size):
    model = MODELS.build(tiny().model).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, *size)).shape == (2, 4)
