"""What training and testing refuse before anything is built, in a sentence."""

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from runs import PICO, pretrained, refusal

from maxvit_mm.commands.refusals import clear_refusals
from maxvit_mm.commands.train import main as train
from maxvit_mm.openmmlab.config_checks import OURS, check_options, complete_options
from maxvit_mm.openmmlab.hardware import places_of
from maxvit_mm.openmmlab.shipped_configs import find_config

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_without_coco_one_sentence_says_where_it_is_expected_and_what_else_there_is():
    message = refusal(train, "mask_rcnn_maxvit_t_coco")
    assert "data/coco/annotations/instances_train2017.json" in message
    assert "--data" in message
    assert "make demo" in message
    assert "\n" not in message


def test_a_folder_that_cannot_work_is_refused_before_anything_is_built(shapes, tmp_path):
    broken = shutil.copytree(shapes, tmp_path / "broken")
    next((broken / "train2017").iterdir()).unlink()
    message = refusal(train, PICO, "--data", str(broken), "--work-dir", "made")
    assert "images missing" in message
    assert not Path("made").exists()
    assert "not a folder" in refusal(train, PICO, "--data", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cfg-options", "optim_wraper.optimizer.lr=5"], "has no optim_wraper; did you mean optim_wrapper"),
        (
            ["--cfg-options", "model.backbone.arch=small"],
            "in_channels is [32, 64, 128, 256], and this backbone's maps have [96, 192, 384, 768]",
        ),
        (["--cfg-options", "steps=100"], "steps is a variable of the config"),
        (["--cfg-options", "model.neck.in_channels=64"], "in_channels is 64, and this backbone's maps have"),
        (["--cfg-options", "custom_hooks.9.type=X"], "--cfg-options: "),
        (
            ["--cfg-options", "train_cfg.max_epochs=3"],
            "train_cfg.max_epochs: IterBasedTrainLoop takes dynamic_",
        ),
        (
            ["--cfg-options", "default_hooks.checkpoint.by_epoch=True"],
            "no checkpoint would be written. Set default_hooks.checkpoint.by_epoch=False",
        ),
        (["--resume", "nope.pth"], "there is no checkpoint file nope.pth"),
        (["--cfg-options", *pretrained("nope.pth")], "there is no checkpoint file nope.pth"),
    ],
)
def test_what_a_config_shows_to_be_wrong_stops_before_anything_is_built(
    shapes, tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr("maxvit_mm.commands.train.build_runner", lambda cfg: 1 / 0)
    assert message in refusal(train, PICO, "--data", str(shapes), "--work-dir", str(tmp_path / "w"), *options)
    assert not (tmp_path / "w").exists()


def test_a_pipeline_that_nothing_reads_is_refused_with_the_line_that_makes_it_read(shapes):
    base = find_config(PICO)
    Path("mine.py").write_text(f"_base_ = {str(base)!r}\ntrain_pipeline = [dict(type='LoadImageFromFile')]")
    message = refusal(train, "mine.py", "--data", shapes)
    assert "train_dataloader = dict(dataset=dict(pipeline=train_pipeline))" in message


def test_keys_that_a_config_need_not_have_are_no_mistakes():
    cfg = Config.fromfile(find_config(PICO))
    check_options(cfg, {"load_from": "w.pth", "find_unused_parameters": True, "compile": True})


def test_more_objects_than_the_config_finds_are_noted(shapes, monkeypatch, capsys):
    monkeypatch.setattr("maxvit_mm.commands.train.build_runner", lambda cfg: 1 / 0)
    options = ["--cfg-options", "model.test_cfg.rcnn.max_per_img=2"]
    with pytest.raises(ZeroDivisionError):
        train([PICO, "--data", str(shapes), *options])
    said = capsys.readouterr().out
    assert "objects, and the config finds 2 an image at most: --cfg-options model.test_cfg.rcnn.max" in said


def test_a_config_of_other_people_accounts_for_checkpoints_too():
    cfg = Config.fromfile(find_config("mask_rcnn_maxvit_t_coco"))
    ours = [hook.type for hook in cfg.custom_hooks]
    complete_options(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == [*ours, *(kind for kind in OURS if kind not in ours)]
    cfg.custom_hooks = None
    complete_options(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == list(OURS)


def test_of_several_processes_the_first_alone_says_why_it_stops(monkeypatch):
    waited = []
    monkeypatch.setattr("maxvit_mm.commands.refusals.time.sleep", waited.append)
    monkeypatch.setenv("RANK", "0")
    assert "there is no config no_such_config" in refusal(train, "no_such_config")
    assert waited == []
    monkeypatch.setenv("RANK", "1")  # it is ended while it waits, or was the only one
    assert "there is no config no_such_config" in refusal(train, "no_such_config")
    assert waited == [15]


def test_batches_cannot_be_normalised_across_processes_without_gpus(shapes, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    arguments = ["--data", str(shapes), "--launcher", "pytorch"]
    message = refusal(train, "cascade_mask_rcnn_maxvit_t_640_coco", *arguments)
    assert "SyncBN needs a GPU" in message
    # What it proposes names every place.
    options = message.partition("--cfg-options ")[2].split()
    assert "model.backbone.norm_cfg.type=BN" in options
    assert "model.roi_head.bbox_head.1.norm_cfg.type=BN" in options
    cfg = Config.fromfile(find_config("cascade_mask_rcnn_maxvit_t_640_coco"))
    cfg.merge_from_dict(dict(option.split("=") for option in options))
    assert list(places_of("SyncBN", cfg.model, "model")) == []


def test_an_interrupted_run_says_how_to_go_on_where_it_can(tmp_path):
    with pytest.raises(SystemExit, match="before the first checkpoint"), clear_refusals(str(tmp_path)):
        raise KeyboardInterrupt
    (tmp_path / "iter_2.pth").touch()
    said = f"--resume --work-dir {tmp_path} goes on"
    with pytest.raises(SystemExit, match=said), clear_refusals(str(tmp_path)):
        raise KeyboardInterrupt
