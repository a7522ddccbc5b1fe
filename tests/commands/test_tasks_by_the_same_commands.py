"""A segmenter and a classifier by the commands of a detector: trained, resumed, tested, drawn, checked."""

import pickle
import re
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from runs import QUICK, forget_runs, refusal

from maxvit_mm.commands.checkup import findings
from maxvit_mm.commands.summary import main as summary
from maxvit_mm.commands.test import main as evaluate
from maxvit_mm.commands.train import main as train
from maxvit_mm.data.shapes import make_shapes
from maxvit_mm.openmmlab.own_config import config_of_checkpoint

SHORT = [*QUICK, "default_hooks.checkpoint.interval=1", "default_hooks.logger.interval=1"]
SHORT += ["default_hooks.visualization.interval=1"]


class Trial(NamedTuple):
    """A training of two steps, and what is known of it."""

    config: str
    metric: str
    classes: list[str]
    data: Path
    work_dir: Path


CLASSES = ["disk", "square", "triangle", "star"]
TASKS = {
    "segmentation": ("upernet_maxvit_pico_shapes", "mIoU", ["background", *CLASSES], make_shapes),
    "classification": (
        "maxvit_pico_shapes_classes",
        "accuracy/top1",
        sorted(CLASSES),
        partial(make_shapes, task="classification"),
    ),
}


@pytest.fixture(scope="module", params=TASKS)
def trial(request, tmp_path_factory):
    config, metric, classes, make = TASKS[request.param]
    data = make(tmp_path_factory.mktemp("data") / "shapes", train=8, val=4)
    work_dir = tmp_path_factory.mktemp(request.param)
    forget_runs()
    train(
        [
            config,
            "--data",
            str(data),
            "--work-dir",
            str(work_dir),
            "--max-steps",
            "2",
            "--cfg-options",
            *SHORT,
        ]
    )
    return Trial(config, metric, classes, data, work_dir)


def test_a_training_leaves_curves_pictures_and_a_checkpoint_that_knows_its_classes(trial):
    assert (trial.work_dir / "curves.png").is_file()
    assert len(list(trial.work_dir.glob("*/vis_data/vis_image/*.png"))) == 4
    checkpoint = torch.load(trial.work_dir / "iter_2.pth", weights_only=False)  # written by this test
    assert list(checkpoint["meta"]["dataset_meta"]["classes"]) == trial.classes
    assert len(config_of_checkpoint("it", checkpoint).train_dataloader.dataset.metainfo.classes) == len(
        trial.classes
    )


def test_the_checkpoint_alone_is_tested_deployed_and_mirrored_and_draws_all_images(trial, elsewhere):
    file = trial.work_dir / "iter_2.pth"
    plain = evaluate([str(file), "--out", "plain.pkl", "--cfg-options", *QUICK])
    forget_runs()
    deployed = evaluate([str(file), "--deploy", "--show-dir", "drawn", "--cfg-options", *QUICK])
    assert plain[trial.metric] == pytest.approx(deployed[trial.metric], abs=0.5)
    assert len(list(Path("drawn").iterdir())) == len(pickle.loads(Path("plain.pkl").read_bytes())) == 4
    forget_runs()
    assert trial.metric in evaluate([str(file), "--tta", "--cfg-options", *QUICK])


def test_a_training_goes_on_where_it_stopped(trial, elsewhere, tmp_path):
    runner = train(
        ["--resume", str(trial.work_dir / "iter_2.pth"), "--work-dir", str(tmp_path), "--max-steps", "3"]
    )
    assert runner.iter == 3
    assert (tmp_path / "iter_3.pth").is_file()


def test_a_checkpoint_of_other_classes_is_refused_and_heads_of_others_start_at_random(
    trial, elsewhere, capsys
):
    few = ["--classes", "square", "triangle", "--data", str(trial.data)]
    file = str(trial.work_dir / "iter_2.pth")
    assert "it was trained on the classes" in refusal(
        evaluate, trial.config, file, *few, "--cfg-options", *QUICK
    )
    forget_runs()
    train([trial.config, *few, "--max-steps", "1", "--cfg-options", *SHORT, f"load_from={file}"])
    (log,) = Path("work_dirs").glob("*/*/*.log")
    assert "fits only in part; the rest starts at random" in log.read_text()


def test_mixed_precision_without_a_gpu_and_a_folder_that_is_none_are_refused(trial, elsewhere):
    assert "--amp needs a GPU" in refusal(train, trial.config, "--data", trial.data, "--amp")
    assert "nowhere" in refusal(train, trial.config, "--data", "nowhere")


def test_the_doctor_and_the_summary_read_its_config(trial, elsewhere):
    nothing = dict.fromkeys(["work_dir", "cfg_options", "gpus", "gpu_memory"])
    found = list(findings(Namespace(config=trial.config, data=str(trial.data), **nothing)))
    assert not [finding for finding in found if finding.level == "problem"]
    lines = {finding.about: finding.text for finding in found if finding.level == "ok"}
    assert {"config", "data", "model", "kernels"} <= lines.keys()
    assert "steps" in lines["plan"]
    alone = list(findings(Namespace(config=None, data=str(trial.data), **nothing)))
    assert alone[0].level == "ok", alone
    (counted,) = summary([trial.config, "--shape", "64", "96"])
    assert re.fullmatch(rf"\| {trial.config} \| 64 x 96 \| \d+\.\dM \| \d+\.\dG \| \d.* \|", counted.row())
