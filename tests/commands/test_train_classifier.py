"""A classifier trained, tested and started anew by the commands, on a few images of the embedded shapes."""

import pytest
import torch
from conftest import about_weights
from runs import forget_runs, refusal

from maxvit_mm.commands.convert_weights import main as convert
from maxvit_mm.commands.test import main as run_test
from maxvit_mm.commands.train import main as train
from maxvit_mm.data.shapes import make_shapes
from maxvit_mm.network import VARIANTS
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.weights import Weights, write_weights

pytest.importorskip("mmpretrain", reason="the extra [classification] is not installed")

CONFIG = "maxvit_pico_shapes_classes"
QUICK = ["train_dataloader.batch_size=2", "train_dataloader.num_workers=0", "val_dataloader.num_workers=0"]
QUICK += ["test_dataloader.num_workers=0", "train_cfg.max_iters=2", "train_cfg.val_interval=2"]
QUICK += ["default_hooks.checkpoint.interval=2", "default_hooks.logger.interval=1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "classes"
    return make_shapes(root, train=8, val=4, task="classification")


def run(folder, work_dir, *options):
    forget_runs()
    arguments = ["--data", str(folder), "--as-configured", "--work-dir", str(work_dir)]
    return train([CONFIG, *arguments, "--cfg-options", *QUICK, *options])


@pytest.mark.usefixtures("elsewhere")
def test_a_folder_of_classes_is_trained_on_and_tested(folder, tmp_path, capsys):
    run(folder, tmp_path / "run")
    said = capsys.readouterr().out
    assert "images of each class, train / val:" in said
    assert "8 images, 2 a step: 2 steps" in said
    saved = torch.load(tmp_path / "run/iter_2.pth", weights_only=False)
    assert tuple(saved["meta"]["dataset_meta"]["classes"]) == ("disk", "square", "star", "triangle")
    assert (tmp_path / "run/curves.png").is_file()

    forget_runs()
    metrics = run_test([str(tmp_path / "run/iter_2.pth"), "--data", str(folder)])
    assert metrics["accuracy/top1"] in (0, 25, 50, 75, 100)


@pytest.mark.usefixtures("elsewhere")
def test_other_classes_keep_the_backbone_whole_and_say_what_starts_at_random(folder, tmp_path, capfd):
    pico = VARIANTS["pico"]
    weights = MaxViTClassifier("pico", 10).state_dict()
    sizes = dict(stem_width=pico.stem_width, widths=list(pico.widths), depths=list(pico.depths))
    about = about_weights(arch="pico", classes=10, **sizes)
    write_weights(tmp_path / "ours.pth", Weights(weights, about))
    convert([str(tmp_path / "ours.pth"), str(tmp_path / "theirs.pth"), "--to", "mmpretrain"])
    capfd.readouterr()

    runner = run(folder, tmp_path / "whole", f"load_from={tmp_path}/theirs.pth", "train_cfg.max_iters=1",
                 "optim_wrapper.optimizer.lr=0.0")  # fmt: skip
    said = "".join(capfd.readouterr())
    assert "theirs.pth fits only in part; the rest starts at random:" in said
    assert "2 of another shape: head.layers.logits.bias [10] instead of [4]" in said
    own = runner.model.state_dict()
    for name, tensor in weights.items():
        if name.startswith("trunk.") and "running" not in name and "num_batches" not in name:
            assert torch.equal(own[f"backbone.{name}"], tensor)
    assert torch.equal(own["head.layers.pre_logits.weight"], weights["head.pre_logits.weight"])

    pretrained = ["model.backbone.init_cfg.type=Pretrained"]
    pretrained += [f"model.backbone.init_cfg.checkpoint={tmp_path}/ours.pth"]
    run(folder, tmp_path / "backbone", *pretrained)
    loaded = sum(name.startswith("trunk.") for name in weights)
    assert f"MaxViT: loaded {loaded} of {loaded} tensors from {tmp_path}/ours.pth" in "".join(
        capfd.readouterr()
    )


@pytest.mark.usefixtures("elsewhere")
def test_a_converted_file_is_no_whole_classifier_and_says_how_it_becomes_one(folder, tmp_path):
    weights = MaxViTClassifier("pico", 10).state_dict()
    write_weights(tmp_path / "ours.pth", Weights(weights, about_weights(classes=10)))
    forget_runs()
    said = refusal(
        train, CONFIG, "--data", folder, "--work-dir", tmp_path / "run", "--as-configured",
        "--cfg-options", *QUICK, f"load_from={tmp_path}/ours.pth",
    )  # fmt: skip
    assert "ours.pth is a backbone and no classifier: name it with model.backbone.init_cfg" in said
    assert "convert it with --to mmpretrain and name that with load_from" in said


def test_a_folder_that_cannot_be_trained_on_is_refused_before_anything_is_built(folder, tmp_path):
    (tmp_path / "train/a").mkdir(parents=True)
    (tmp_path / "train/a/x.jpg").write_bytes(b"no image")
    said = refusal(train, CONFIG, "--data", tmp_path)
    assert "val: no folder val/ or valid/" in said
    assert "files that are not readable as images by cv2" in said
    assert "there is one class alone, a" in said
