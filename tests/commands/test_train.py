"""Training as a user starts it, and goes on with it, on six images of the embedded data set."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from runs import PICO, QUICK, TWO_STEPS, refusal

from maxvit_mm.commands.train import main as train
from maxvit_mm.openmmlab.shipped_configs import find_config
from maxvit_mm.weights.checkpoint import load_from_local

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_training_leaves_checkpoints_scalars_curves_and_pictures(trained):
    assert {"iter_1.pth", "iter_2.pth", "last_checkpoint", "curves.png"} <= {
        path.name for path in trained.iterdir()
    }
    (log,) = trained.glob("*/vis_data/scalars.json")
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 2]
    assert "loss_mask" in records[0]
    assert "coco/segm_mAP" in records[2]
    assert list(log.parent.glob("events.out.tfevents.*"))  # TensorBoard's
    assert list(log.parent.glob("vis_image/val_img_*.png"))


def test_a_run_is_reproduced_from_the_config_that_it_leaves(trained, shapes):
    (dumped,) = trained.glob("*.py")
    cfg = Config.fromfile(dumped)
    assert cfg.train_dataloader.dataset.data_root == str(shapes)
    assert cfg.custom_imports.imports == ["maxvit_mm"]


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(shapes, tmp_path):
    base = [str(ROOT / "configs/_base_" / name) for name in ("shapes_instance.py", "schedule_1x.py")]
    base += [str(ROOT / "configs/_base_" / name) for name in ("mask_rcnn_maxvit_pico_fpn.py", "runtime.py")]
    lines = [f"_base_ = {base}", "randomness = dict(seed=3)", "train_cfg = dict(max_epochs=2)"]
    lines += ["train_dataloader = dict(batch_size=3, sampler=dict(type='DefaultSampler'))"]
    lines += ["model = dict(backbone=dict(drop_path_rate=0.2))"]
    Path("config.py").write_text("\n".join(lines))

    def run(work_dir, *options):
        quick = [*QUICK, "train_dataloader.batch_size=3", "train_cfg.val_interval=5"]
        train(["config.py", "--data", str(shapes), "--work-dir", work_dir, *options, "--cfg-options", *quick])
        return load_from_local(f"{work_dir}/epoch_2.pth")

    whole = run("whole")
    Path("halved").mkdir()
    shutil.copy("whole/epoch_1.pth", "halved")
    Path("halved/last_checkpoint").write_text("halved/epoch_1.pth")
    resumed = run("halved", "--resume")
    assert resumed["meta"]["iter"] == whole["meta"]["iter"] == 4
    for name, tensor in whole["state_dict"].items():
        torch.testing.assert_close(resumed["state_dict"][name], tensor, msg=name)


def test_googles_averages_follow_are_evaluated_and_resumed(shapes):
    google = Config.fromfile(find_config("cascade_mask_rcnn_maxvit_t_640_coco"))
    Path("ema.py").write_text(
        f"_base_ = {str(ROOT / 'configs' / PICO)!r} + '.py'\n"
        f"custom_hooks = [dict(type='ReseedHook'), {google.averages.to_dict()}]"
    )
    three = [
        *TWO_STEPS,
        "train_cfg.max_iters=3",
        "train_cfg.val_interval=3",
        "train_dataloader.num_workers=1",
        "model.backbone.drop_path_rate=0.2",
    ]
    train(["ema.py", "--data", str(shapes), "--work-dir", "whole", "--cfg-options", *three])
    saved = {step: load_from_local(f"whole/iter_{step}.pth") for step in (1, 2, 3)}
    name = "backbone.trunk.stem.conv1.weight"
    # MMEngine saves the average as the weights, for whoever loads the file, and the weights as the average.
    average = {step: checkpoint["state_dict"][name] for step, checkpoint in saved.items()}
    raw = {step: checkpoint["ema_state_dict"][f"module.{name}"] for step, checkpoint in saved.items()}
    torch.testing.assert_close(average[1], raw[1])
    torch.testing.assert_close(average[2], average[1] + 9 / 10 * (raw[2] - average[1]))
    torch.testing.assert_close(average[3], average[2] + 9 / 11 * (raw[3] - average[2]))

    resumed = ["--work-dir", "half", "--resume", "whole/iter_2.pth"]
    runner = train(["ema.py", "--data", str(shapes), *resumed, "--cfg-options", *three])
    again = load_from_local("half/iter_3.pth")
    for key in ("state_dict", "ema_state_dict"):
        for tensor, expected in zip(again[key].values(), saved[3][key].values(), strict=True):
            assert torch.equal(tensor, expected)

    # While validating, the averages are in the model's place.
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == "EMAHook")
    hook.before_val_epoch(runner)
    assert torch.equal(runner.model.state_dict()[name], average[3])
    hook.after_val_epoch(runner)
    assert torch.equal(runner.model.state_dict()[name], raw[3])


def test_mixed_precision_is_refused_without_a_gpu(shapes, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "needs a GPU" in refusal(train, PICO, "--data", str(shapes), "--amp")


def test_amp_changes_the_optimizer_wrapper_where_there_is_a_gpu(shapes, monkeypatch):
    seen = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("maxvit_mm.commands.train.build_runner", lambda cfg: seen.update(cfg=cfg) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train([PICO, "--data", str(shapes), "--amp", "--auto-scale-lr"])
    assert seen["cfg"].optim_wrapper.type == "AmpOptimWrapper"
    assert seen["cfg"].optim_wrapper.loss_scale == "dynamic"
    assert seen["cfg"].auto_scale_lr.enable
