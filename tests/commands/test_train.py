"""Training as a user starts it, and goes on with it, on six images of the embedded data set."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from runs import HALF, PICO, QUICK, TWO_STEPS, refusal

from maxvit_mm.commands.train import main as train
from maxvit_mm.openmmlab.shipped_configs import find_config
from maxvit_mm.weights.checkpoint import load_from_local

UNEVALUATED = ["train_cfg.val_interval=99"]

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
    assert len(list(log.parent.glob("vis_image/*_step_2.png"))) == 3


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
        quick = [*QUICK, *HALF, "train_dataloader.batch_size=3", "train_cfg.val_interval=5"]
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


def test_a_training_goes_on_for_longer_from_its_checkpoint_alone(trained, tmp_path, capsys):
    work_dir = shutil.copytree(trained, tmp_path / "again")
    (work_dir / "last_checkpoint").write_text(str(work_dir / "iter_2.pth"))
    train(["--resume", "--work-dir", str(work_dir), "--max-steps", "4", "--cfg-options", *UNEVALUATED])
    assert "At step 2 of 4 the learning rate is 0.00071" in capsys.readouterr().out
    logs = sorted(work_dir.glob("*/vis_data/scalars.json"))
    records = map(json.loads, logs[-1].read_text().splitlines())
    rates = [record["lr"] for record in records if "lr" in record]
    # For 2 images a step; then halfway down a cosine that goes from step 2 to 4, to 1e-5.
    full = 1e-3 * 0.5**0.5
    assert rates == pytest.approx([full, (full + 1e-5) / 2])
    assert load_from_local(str(work_dir / "iter_4.pth"))["param_schedulers"][1]["end"] == 4


def test_what_is_left_to_do_is_said_and_so_is_what_is_missing(trained, capsys):
    train(["--resume", str(trained / "iter_2.pth"), "--work-dir", "elsewhere", "--cfg-options", *UNEVALUATED])
    assert "has trained for 2 steps, and this training ends at 2" in capsys.readouterr().out
    assert "name a config" in refusal(train)
    assert "there is no checkpoint in empty" in refusal(train, "--resume", "--work-dir", "empty")
    assert "by --work-dir" in refusal(train, "--resume")


def test_the_plan_and_the_progress_are_on_the_screen_and_the_rest_in_the_log(shapes, capsys):
    options = [*TWO_STEPS, "train_cfg.val_interval=12", "default_hooks.checkpoint.interval=12"]
    wishes = ["--max-steps", "12", "--img-scale", "64", "--batch-size", "1", "--lr", "2e-3"]
    classes = ["--classes", "star", "disk"]
    runner = train(
        [PICO, "--data", str(shapes), "--work-dir", "w", *wishes, *classes, "--cfg-options", *options]
    )
    screen = capsys.readouterr().out
    lines = screen.splitlines()
    first = next(i for i, line in enumerate(lines) if "Iter(train)" in line)
    assert first < 40
    assert "images, 1 a step: 12 steps" in screen
    assert "in the network (the median image)" in screen
    assert "0.002 (AdamW)" in screen
    assert "left for 2 steps, besides evaluations" in screen
    assert "Config:" not in screen
    (log,) = Path("w").glob("*/*.log")
    text = log.read_text()
    for hidden in ("Config:", "Hooks will be executed", "paramwise_options"):
        assert hidden in text
    assert runner.val_dataloader.dataset.metainfo["classes"] == ("star", "disk")
    assert lines[-2].endswith("log are in w")
    assert len(list(Path(lines[-1].rpartition(" ")[2]).glob("*_step_12.png"))) == 3


def test_a_loss_that_is_not_finite_stops_the_training_in_a_sentence(shapes):
    options = [*TWO_STEPS, "model.roi_head.mask_head.loss_mask.loss_weight=nan"]
    message = refusal(train, PICO, "--data", shapes, "--work-dir", "w", "--cfg-options", *options)
    assert "training stopped at step 1: no finite value for loss, loss_mask" in message
    assert not list(Path("w").glob("*.pth"))


def test_googles_averages_follow_are_evaluated_and_resumed(shapes):
    google = Config.fromfile(find_config("cascade_mask_rcnn_maxvit_t_640_coco"))
    Path("ema.py").write_text(
        f"_base_ = {str(ROOT / 'configs' / PICO)!r} + '.py'\n"
        f"custom_hooks = [dict(type='ReseedHook'), {google.averages.to_dict()}]"
    )
    three = [
        *TWO_STEPS,
        *HALF,
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
