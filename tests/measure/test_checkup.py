"""What a training will need, against machines played by numbers."""

import shutil
from collections import namedtuple

import pytest
import torch
from conftest import about_weights
from mmengine.config import Config

from maxvit_mm import MaxViT
from maxvit_mm.measure import checkup
from maxvit_mm.measure.checkup import cheap_findings, checkpoint_bytes, costly_findings
from maxvit_mm.measure.gpu_memory import GIB, memory
from maxvit_mm.openmmlab.shipped_configs import find_config
from maxvit_mm.weights import Weights, write_weights

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def cfg(tmp_path):
    cfg = Config.fromfile(find_config("mask_rcnn_maxvit_t_coco"))
    cfg.work_dir = str(tmp_path / "not" / "there" / "yet")
    cfg.model.backbone.arch = "pico"
    cfg.model.neck.in_channels = [32, 64, 128, 256]
    return cfg


def levels(findings, about):
    found = [each for each in findings if each.about == about]
    assert found, f"nothing is said about {about}"
    return {each.level for each in found}, "\n".join(each.text for each in found)


def cheap(cfg, about, images=None, processes=1):
    model = torch.nn.Linear(1000, 1000, bias=False)
    return levels(cheap_findings(cfg, model, images, processes), about)


def free(monkeypatch, amount):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(0, 0, amount))


def test_a_checkpoint_holds_parameters_optimizer_and_average(cfg):
    model = torch.nn.Linear(10, 10, bias=False)
    assert checkpoint_bytes(cfg, model) == 400 * (1 + 2)  # AdamW keeps two numbers for each
    cfg.custom_hooks.append(dict(type="EMAHook"))
    assert checkpoint_bytes(cfg, model) == 400 * (2 + 2)
    model.weight.requires_grad = False
    assert checkpoint_bytes(cfg, model) == 400 * 2


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 4),  # of twelve epochs three are kept, and a fourth is there before one goes
        ({"default_hooks.checkpoint.max_keep_ckpts": -1}, 12),
        ({"default_hooks.checkpoint.interval": 6}, 2),
        ({"default_hooks.checkpoint.save_best": "auto"}, 5),
    ],
)
def test_the_disk_has_room_for_the_checkpoints_that_are_kept(cfg, tmp_path, monkeypatch, changes, count):
    cfg.merge_from_dict(changes)
    needed = count * 12_000_000
    free(monkeypatch, needed)
    level, text = cheap(cfg, "disk")
    assert (level, f"{count} checkpoints of" in text, str(tmp_path) in text) == ({"ok"}, True, True)
    free(monkeypatch, needed - 1)
    level, text = cheap(cfg, "disk")
    assert level == {"problem"}
    assert "max_keep_ckpts=1" in text


def test_shared_memory_has_room_for_the_workers_batches(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(checkup, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(checkup, "disk", lambda *_: checkup.Finding("ok", "disk", ""))
    needed = 2 * 2 * 2 * 3 * 800 * 1344  # workers, batches ahead, images, channels
    free(monkeypatch, needed)
    assert cheap(cfg, "shared memory")[0] == {"ok"}
    assert cheap(cfg, "shared memory", processes=2)[0] == {"problem"}
    free(monkeypatch, needed - 1)
    level, text = cheap(cfg, "shared memory")
    assert level == {"problem"}
    assert "--shm-size" in text


def test_the_learning_rate_is_for_a_number_of_images(cfg):
    assert cheap(cfg, "learning rate", processes=8)[0] == {"ok"}
    level, text = cheap(cfg, "learning rate")
    assert level == {"note"}
    assert "for 16 images a step, and there are 2: add --auto-scale-lr" in text
    cfg.auto_scale_lr.enable = True
    assert cheap(cfg, "learning rate")[0] == {"ok"}


def test_a_warm_up_longer_than_the_training_is_noted_with_a_length_that_is_not(cfg):
    level, text = cheap(cfg, "warm-up", images=130)  # 65 steps an epoch
    assert level == {"note"}
    assert "1000 of 780 steps" in text
    assert "param_scheduler.0.end=78" in text
    assert cheap(cfg, "warm-up", images=13000)[0] == {"ok"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, None),
        ({"train_cfg.max_epochs": 3}, "param_scheduler.1.milestones=[2,2]"),
        ({"train_cfg.max_epochs": 36}, "MultiStepLR ends after 12 of 36 epochs"),
    ],
)
def test_a_schedule_that_is_for_another_length_of_training_is_noted(cfg, options, said):
    cfg.merge_from_dict(options)
    texts = [each.text for each in checkup.schedules(cfg)]
    assert texts == [] if said is None else said in texts[0]


def test_a_cosine_that_does_not_reach_its_end_is_noted(cfg):
    cfg.param_scheduler = [dict(type="CosineAnnealingLR", by_epoch=True, end=24)]
    (finding,) = checkup.schedules(cfg)
    assert finding.text.startswith("CosineAnnealingLR counts to 24, and this training ends at 12: ")
    assert finding.text.endswith("param_scheduler.0.end=12")


def test_batchnorm_of_few_images_is_noted(cfg):
    cfg.model.backbone.norm_cfg = dict(type="BN")
    level, text = cheap(cfg, "BatchNorm", processes=8)
    assert level == {"note"}
    assert "norm_eval=True" in text
    assert "type=SyncBN counts all processes" in text
    cfg.model.backbone.norm_cfg = dict(type="SyncBN")
    assert cheap(cfg, "BatchNorm", processes=8)[0] == {"ok"}
    cfg.model.backbone.norm_eval = True
    assert "BatchNorm" not in {each.about for each in cheap_findings(cfg, torch.nn.Linear(1, 1))}


def test_what_does_not_fit_the_gpu_is_a_problem_with_what_would(cfg):
    findings = list(costly_findings(cfg, [24 * GIB]))
    assert levels(findings, "model")[0] == levels(findings, "memory")[0] == {"ok"}
    needed = float(levels(findings, "memory")[1].split("needs ")[1].split(" GiB")[0])
    level, text = levels(memory(cfg, [int((needed - 0.3) * GIB)]), "memory")
    assert level == {"problem"}
    for way in ("train_dataloader.batch_size=1: ", "--amp: ", "model.backbone.with_cp=True: "):
        assert way in text
        assert float(text.split(way)[1].split(" GiB")[0]) < needed
    level, text = levels(memory(cfg, [GIB // 10]), "memory")
    assert level == {"problem"}
    assert "take a smaller config" in text


def test_without_a_gpu_that_is_said(cfg):
    assert levels(memory(cfg, []), "GPU")[0] == {"note"}


def test_a_model_that_cannot_be_built_is_a_problem(cfg):
    cfg.model.roi_head.type = "NoSuchHead"
    (finding,) = costly_findings(cfg, [])
    assert (finding.level, finding.about) == ("problem", "model")
    assert "NoSuchHead" in finding.text


def test_the_weights_of_the_backbone_fit_and_were_trained_on_images_as_the_config_has_them(cfg, tmp_path):
    tensors = MaxViT("pico").state_dict()
    write_weights(tmp_path / "w.pth", Weights(tensors, about_weights()))
    cfg.model.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth"))
    detector = checkup.build(cfg)
    assert levels(checkup.weights(cfg, detector), "weights")[0] == {"ok"}
    cfg.model.data_preprocessor.mean = [0, 0, 0]
    level, text = levels(checkup.weights(cfg, detector), "normalisation")
    assert level == {"problem"}
    assert "set model.data_preprocessor.mean" in text
    tensors.pop("trunk.stem.conv1.bias")
    write_weights(tmp_path / "w.pth", Weights(tensors, about_weights()))
    level, text = levels(checkup.weights(cfg, detector), "weights")
    assert level == {"problem"}
    assert "trunk.stem.conv1.bias" in text


def test_a_detector_to_start_from_is_compared(cfg, tmp_path):
    detector = checkup.build(cfg)
    state = {name: torch.zeros(tensor.shape) for name, tensor in detector.state_dict().items()}
    meta = dict(dataset_meta=dict(classes=("cat", "dog")))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / "d.pth")
    cfg.load_from = str(tmp_path / "d.pth")
    cfg.train_dataloader.dataset.metainfo = dict(classes=("cat", "cow"))
    findings = list(checkup.weights(cfg, detector))
    assert levels(findings, "weights")[0] == {"ok"}
    assert levels(findings, "classes")[0] == {"note"}
    cfg.resume = True
    assert levels(checkup.weights(cfg, detector), "classes")[0] == {"problem"}


def test_what_runs_is_named_for_training_and_inference(cfg):
    level, text = levels(checkup.implementations(cfg, "cpu"), "kernels")
    assert level == {"ok"}
    assert "training on cpu: Stem.forward" in text
    assert "inference on cpu: Stem.forward" in text
