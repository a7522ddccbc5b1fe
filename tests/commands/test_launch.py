"""The launchers as a user calls them, on six images of the embedded data set."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, about_weights
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.visualization import Visualizer

from maxvit_mm import MaxViT
from maxvit_mm.commands.demo import demo
from maxvit_mm.commands.launch import clear_refusals, evaluate, find_config, train, use_tta
from maxvit_mm.data.shapes import make_shapes
from maxvit_mm.openmmlab.config_checks import check_options
from maxvit_mm.openmmlab.hardware import places_of, use_float32
from maxvit_mm.weights import Weights, write_weights
from maxvit_mm.weights.checkpoint import load_from_local

PICO = "mask_rcnn_maxvit_pico_shapes"
QUICK = ["train_dataloader.batch_size=2", "train_dataloader.num_workers=0", "val_dataloader.num_workers=0"]
QUICK += ["train_dataloader.persistent_workers=False", "val_dataloader.persistent_workers=False"]
QUICK += ["test_dataloader.num_workers=0", "test_dataloader.persistent_workers=False"]
TWO_STEPS = [*QUICK, "train_cfg.max_iters=2", "train_cfg.val_interval=2"]
TWO_STEPS += ["default_hooks.checkpoint.interval=1", "default_hooks.logger.interval=1"]
TWO_STEPS += ["default_hooks.visualization.interval=1"]


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    return make_shapes(tmp_path_factory.mktemp("data") / "shapes", train=6, val=3)


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """A foreign working directory, and none of MMEngine's process-wide instances from another run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "0")
    forget_runs()


def forget_runs():
    for kind in (MMLogger, Visualizer):
        for held in (kind, *kind.__subclasses__()):
            held._instance_dict.clear()


@pytest.fixture(scope="session")
def trained(shapes, tmp_path_factory):
    """A work directory after two steps on the embedded data."""
    forget_runs()
    work_dir = tmp_path_factory.mktemp("trained")
    train([PICO, "--data", str(shapes), "--work-dir", str(work_dir), "--cfg-options", *TWO_STEPS])
    return work_dir


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


def test_evaluation_writes_predictions_and_draws_pictures(trained, shapes, tmp_path):
    options = ["--data", str(shapes), "--out", "found.pkl", "--show-dir", str(tmp_path / "pictures")]
    metrics = evaluate([PICO, str(trained / "iter_2.pth"), *options, "--cfg-options", *QUICK])
    assert {"coco/bbox_mAP", "coco/segm_mAP"} <= metrics.keys()
    assert len(pickle.loads(Path("found.pkl").read_bytes())) == 3  # ours, written a line above
    assert len(list((tmp_path / "pictures").iterdir())) == 3


def test_evaluation_needs_no_training_split(trained, shapes, tmp_path):
    folder = shutil.copytree(shapes, tmp_path / "val_only")
    shutil.rmtree(folder / "train2017")
    (folder / "annotations/instances_train2017.json").unlink()
    options = ["--data", str(folder), "--cfg-options", *QUICK]
    assert "coco/bbox_mAP" in evaluate([PICO, str(trained / "iter_2.pth"), *options])


def test_test_time_augmentation_keeps_the_masks(trained, shapes):
    options = ["--data", str(shapes), "--tta", "--cfg-options", *QUICK]
    metrics = evaluate([PICO, str(trained / "iter_2.pth"), *options])
    assert "coco/segm_mAP" in metrics


def test_the_views_of_test_time_augmentation_differ_and_the_truth_is_the_images_own(shapes):
    cfg = Config.fromfile(find_config(PICO))
    cfg.test_dataloader.dataset.update(data_root=str(shapes))
    plain = DATASETS.build(cfg.test_dataloader.dataset)[0]
    use_tta(cfg)
    views = DATASETS.build(cfg.test_dataloader.dataset)[0]
    assert [sample.flip for sample in views["data_samples"]] == [False, True]
    assert views["inputs"][0].equal(plain["inputs"])
    assert views["inputs"][1].equal(plain["inputs"].flip(2))
    truth, own = (sample.gt_instances.bboxes for sample in (views["data_samples"][0], plain["data_samples"]))
    assert truth.tensor.equal(own.tensor)


def test_steps_are_seeded_so_that_a_resumed_run_repeats_an_uninterrupted_one(shapes, tmp_path):
    options = [*TWO_STEPS, "train_cfg.max_iters=4", "train_cfg.val_interval=9"]
    options += ["model.backbone.drop_path_rate=0.2", "train_dataloader.num_workers=1"]

    def run(work_dir, *resume):
        train([PICO, "--data", str(shapes), "--work-dir", work_dir, *resume, "--cfg-options", *options])
        return load_from_local(f"{work_dir}/iter_4.pth")["state_dict"]

    whole = run("whole")
    resumed = run("resumed", "--resume", "whole/iter_2.pth")  # a checkpoint by its name
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, msg=name)


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


def test_resuming_goes_on_with_the_next_step(trained, shapes, tmp_path):
    work_dir = shutil.copytree(trained, tmp_path / "again")
    (work_dir / "last_checkpoint").write_text(str(work_dir / "iter_2.pth"))
    options = [*TWO_STEPS, "train_cfg.max_iters=3"]
    train([PICO, "--data", str(shapes), "--work-dir", str(work_dir), "--resume", "--cfg-options", *options])
    assert (work_dir / "last_checkpoint").read_text().endswith("iter_3.pth")


def refusal(function, *arguments):
    with pytest.raises(SystemExit) as caught:
        function([*arguments])
    return str(caught.value)


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


def test_a_wrong_checkpoint_is_refused_without_a_traceback(shapes, tmp_path):
    assert "no checkpoint" in refusal(evaluate, PICO, "none.pth", "--data", str(shapes))
    Path("page.pth").write_text("<html>")
    assert "web page" in refusal(evaluate, PICO, "page.pth", "--data", str(shapes))


def test_a_checkpoint_of_another_network_is_refused_and_not_evaluated(trained, shapes):
    torch.save({"state_dict": {"some.weight": torch.zeros(3)}}, "other.pth")
    message = refusal(evaluate, PICO, "other.pth", "--data", str(shapes), "--cfg-options", *QUICK)
    assert "other.pth does not fit this detector; nothing was started" in message
    assert "1 left over: some.weight" in message
    options = ["--cfg-options", *TWO_STEPS, "load_from=other.pth"]
    assert "does not fit" in refusal(train, PICO, "--data", str(shapes), *options)
    options = ["--cfg-options", "model.init_cfg.type=Pretrained", "model.init_cfg.checkpoint=other.pth"]
    assert "load_from" in refusal(train, PICO, "--data", str(shapes), *options)


def pretrained(path):
    return ["model.backbone.init_cfg.type=Pretrained", f"model.backbone.init_cfg.checkpoint={path}"]


def test_a_detector_whose_weights_miss_a_tensor_does_not_start(shapes):
    weights = MaxViT("pico").state_dict()
    del weights["trunk.stages.1.0.mbconv.shrink.weight"]
    torch.save(weights, "w.pth")
    options = ["--cfg-options", *TWO_STEPS, *pretrained("w.pth")]
    message = refusal(train, PICO, "--data", str(shapes), "--work-dir", "w", *options)
    assert "1 missing: trunk.stages.1.0.mbconv.shrink.weight" in message
    assert not list(Path("w").glob("*.pth"))


def test_another_normalisation_than_the_weights_own_is_reported_before_the_first_step(shapes):
    about = about_weights(mean=[127.5] * 3, std=[127.5] * 3)
    write_weights(Path("w.pth"), Weights(MaxViT("pico").state_dict(), about))
    options = ["--cfg-options", *TWO_STEPS, *pretrained("w.pth")]
    train([PICO, "--data", str(shapes), "--work-dir", "w", *options])
    log = next(Path("w").glob("*/*.log")).read_text()
    said = log.index("NORMALISATION DIFFERS: the pretrained weights (w.pth) were trained with mean [127.5,")
    assert log.index("loaded 260 of 260 tensors from w.pth") < said < log.index("Iter(train)")


def test_a_deployed_backbone_finds_the_same(trained, shapes, tmp_path):
    checkpoint = trained / "iter_2.pth"
    before = checkpoint.read_bytes()
    arguments = [PICO, str(checkpoint), "--data", str(shapes), "--work-dir", "w"]
    options = [
        "--cfg-options",
        *QUICK,
        "model.test_cfg.rcnn.score_thr=0.0",
        "model.test_cfg.rcnn.max_per_img=20",
    ]
    options += [
        "custom_hooks.5.type=EMAHook"
    ]  # of a config with averages; it must not exchange folded weights
    found = []
    for more in ([], ["--deploy"]):
        evaluate([*arguments, *more, "--out", str(tmp_path / "found.pkl"), *options])
        found.append(pickle.loads((tmp_path / "found.pkl").read_bytes()))
    for plain, deployed in zip(*found, strict=True):
        scores = (sample["pred_instances"]["scores"] for sample in (plain, deployed))
        torch.testing.assert_close(*scores, rtol=1e-3, atol=1e-5)
    assert checkpoint.read_bytes() == before


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


def test_averaged_weights_are_accounted_for_as_the_others(shapes):
    options = ["--data", str(shapes), "--work-dir", "w", "--cfg-options", *TWO_STEPS]
    Path("ema.py").write_text(
        f"_base_ = {str(ROOT / 'configs' / PICO)!r} + '.py'\n"
        "custom_hooks = [dict(type='CompleteLoadHook'), dict(type='EMAHook')]\n"
    )
    train(["ema.py", *options])
    train(["ema.py", *options[:4], "--resume", "--cfg-options", *TWO_STEPS, "train_cfg.max_iters=3"])
    checkpoint = load_from_local("w/iter_3.pth")
    del checkpoint["ema_state_dict"]["module.backbone.trunk.stem.conv1.weight"]
    torch.save(checkpoint, "w/iter_3.pth")
    message = refusal(train, "ema.py", *options[:4], "--resume", "--cfg-options", *TWO_STEPS)
    assert "1 missing: backbone.trunk.stem.conv1.weight" in message


def test_what_is_not_finite_never_starts_a_training(trained, shapes):
    state = load_from_local(str(trained / "iter_2.pth"))["state_dict"]
    state["neck.fpn_convs.0.conv.weight"][0] = torch.nan
    torch.save({"state_dict": state}, "nan.pth")
    message = refusal(train, PICO, "--data", str(shapes), "--cfg-options", *TWO_STEPS, "load_from=nan.pth")
    assert "1 not finite: neck.fpn_convs.0.conv.weight" in message


def test_backbone_weights_in_the_place_of_a_detectors_are_sent_where_they_belong(shapes):
    torch.save(MaxViT("pico").state_dict(), "w.pth")
    message = refusal(train, PICO, "--data", str(shapes), "--cfg-options", *TWO_STEPS, "load_from=w.pth")
    assert "w.pth is a backbone and no detector: name it with model.backbone.init_cfg.type=Pret" in message


def test_heads_for_other_classes_may_start_at_random(trained, shapes, tmp_path):
    checkpoint = torch.load(trained / "iter_2.pth", weights_only=False)  # our own, made above
    state = checkpoint["state_dict"]
    name = "roi_head.bbox_head.fc_cls.weight"
    torch.save({"state_dict": {**state, name: state[name][:2]}}, "other_classes.pth")
    options = ["--cfg-options", *TWO_STEPS, "load_from=other_classes.pth"]
    train([PICO, "--data", str(shapes), "--work-dir", "w", *options])
    log = next(Path("w").glob("*/*.log")).read_text()
    assert "other_classes.pth fits only in part; the rest starts at random" in log


def test_options_that_cannot_work_are_refused(shapes, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "needs a GPU" in refusal(train, PICO, "--data", str(shapes), "--amp")
    assert ".pkl" in refusal(evaluate, PICO, "c.pth", "--out", "found.json")


def test_a_released_size_that_starts_from_random_weights_says_so(shapes, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("maxvit_mm.commands.launch.build_runner", lambda cfg: 1 / 0)
    (tmp_path / "w.pth").touch()
    for config, options, says in (
        ("mask_rcnn_maxvit_t_coco", [], True),
        ("mask_rcnn_maxvit_t_coco", ["--cfg-options", *pretrained(tmp_path / "w.pth")], False),
        ("mask_rcnn_maxvit_t_coco", ["--resume", str(tmp_path / "w.pth")], False),
        ("mask_rcnn_maxvit_t_coco", ["--resume"], True),  # for there is nothing to resume
        (PICO, [], False),
    ):
        with pytest.raises(ZeroDivisionError):
            train([config, "--data", str(shapes), "--work-dir", str(tmp_path / "new"), *options])
        said = capsys.readouterr().out
        assert ("starts from random weights" in said) == says
        assert ("no checkpoint in" in said) == (options == ["--resume"])


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
        (["--resume", "nope.pth"], "there is no checkpoint file nope.pth"),
        (["--cfg-options", *pretrained("nope.pth")], "there is no checkpoint file nope.pth"),
    ],
)
def test_what_a_config_shows_to_be_wrong_stops_before_anything_is_built(
    shapes, tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr("maxvit_mm.commands.launch.build_runner", lambda cfg: 1 / 0)
    assert message in refusal(train, PICO, "--data", str(shapes), "--work-dir", str(tmp_path / "w"), *options)
    assert not (tmp_path / "w").exists()


def test_keys_that_a_config_need_not_have_are_no_mistakes():
    cfg = Config.fromfile(find_config(PICO))
    check_options(cfg, {"load_from": "w.pth", "find_unused_parameters": True, "compile": True})


def test_an_interrupted_run_says_how_to_go_on():
    with pytest.raises(SystemExit, match="--resume goes on"), clear_refusals():
        raise KeyboardInterrupt


def test_amp_changes_the_optimizer_wrapper_where_there_is_a_gpu(shapes, monkeypatch):
    seen = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("maxvit_mm.commands.launch.build_runner", lambda cfg: seen.update(cfg=cfg) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train([PICO, "--data", str(shapes), "--amp", "--auto-scale-lr"])
    assert seen["cfg"].optim_wrapper.type == "AmpOptimWrapper"
    assert seen["cfg"].optim_wrapper.loss_scale == "dynamic"
    assert seen["cfg"].auto_scale_lr.enable


def test_a_config_is_found_by_its_path_or_by_the_name_of_one_of_ours(tmp_path):
    path = ROOT / "configs/mask_rcnn_maxvit_t_coco.py"
    for name in (path, "mask_rcnn_maxvit_t_coco", "configs/mask_rcnn_maxvit_t_coco.py"):
        assert find_config(str(name)).samefile(path)
    message = refusal(lambda names: find_config(*names), "mask_rcnn_maxvit_q_coco")
    assert "nearest of ours: mask_rcnn_maxvit_" in message
    assert "mask_rcnn_maxvit_pico_shapes" in refusal(lambda names: find_config(*names), "yolo")  # all of them
    mistyped = "/elsewhere/mask_rcnn_maxvit_t_coco.py"  # not ours in its stead
    assert refusal(lambda names: find_config(*names), mistyped) == f"there is no config {mistyped}"


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


def test_mixed_precision_of_a_config_falls_back_to_float32_without_a_gpu(capsys):
    cfg = Config.fromfile(find_config("cascade_mask_rcnn_maxvit_t_640_coco"))
    use_float32(cfg)
    assert "using float32" in capsys.readouterr().out
    wrapper = build_optim_wrapper(torch.nn.Linear(2, 2), cfg.optim_wrapper)
    assert type(wrapper) is OptimWrapper
    assert wrapper.optimizer.defaults["lr"] == 2e-3


@pytest.mark.parametrize("tool", ["train.py", "test.py"])
def test_a_tool_runs_from_anywhere_and_explains_itself(tool, tmp_path):
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0
    assert "--data DIR" in ran.stdout


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("dist_train.sh", "C 8 --amp", "--nproc_per_node=8 {tools}/train.py C --amp --launcher pytorch"),
        ("dist_test.sh", "C W 2 --tta", "--nproc_per_node=2 {tools}/test.py C W --tta --launcher pytorch"),
    ],
)
def test_a_script_starts_a_process_for_each_gpu(script, arguments, expected):
    command = ["bash", str(ROOT / "tools" / script), *arguments.split()]
    said = subprocess.run(
        command, env={**os.environ, "PYTHON": "echo"}, capture_output=True, text=True
    ).stdout
    assert said.startswith("-m torch.distributed.run --nnodes=1 --node_rank=0 --master_addr=127.0.0.1")
    assert said.strip().endswith(expected.format(tools=ROOT / "tools"))


@pytest.mark.parametrize(
    ("script", "gpus", "nodes_share", "rest"),
    [
        ("slurm_train.sh", "16", 8, "{tools}/train.py C --amp --launcher slurm"),
        ("slurm_test.sh", "4", 4, "{tools}/test.py C --amp --launcher slurm"),
    ],
)
def test_a_slurm_script_asks_for_a_task_for_each_gpu(script, gpus, nodes_share, rest, tmp_path):
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", str(ROOT / "tools" / script), "PART", "JOB", "C", "--amp"]
    env = {**os.environ, "PATH": path, "GPUS": gpus, "PYTHON": "py"}
    words = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()
    asked = {"--partition=PART", "--job-name=JOB", f"--ntasks={gpus}", f"--ntasks-per-node={nodes_share}"}
    assert asked | {f"--gres=gpu:{nodes_share}"} <= set(words)
    assert " ".join(words).endswith("py -u " + rest.format(tools=ROOT / "tools"))


def test_the_demo_ends_with_its_figures_and_where_to_look(tmp_path, capsys):
    metrics = demo(["--images", "4", "3", "--work-dir", "here", "--cfg-options", *TWO_STEPS])
    *_, figures, where = capsys.readouterr().out.strip().splitlines()
    box, mask = metrics["coco/bbox_mAP"], metrics["coco/segm_mAP"]
    assert figures == f"demo: bbox AP {box:.3f}, mask AP {mask:.3f}"
    assert where.startswith("demo: look at here: truth_beside_prediction.png, all 3 in pictures/")
    for name in ("truth_beside_prediction.png", "curves.png"):
        assert (tmp_path / "here" / name).stat().st_size > 1000
    assert len(list((tmp_path / "here/pictures").iterdir())) == 3
