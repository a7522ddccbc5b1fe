"""tools/doctor.py with a config and a folder."""

import json
import subprocess
import sys
from argparse import Namespace

import pytest
from conftest import ROOT
from runs import PICO

from maxvit_mm.commands.checkup import findings
from maxvit_mm.commands.train import heed
from maxvit_mm.measure.gpu_memory import Finding


def look(config=None, **options):
    """What the doctor finds of a training, in an environment that is sound."""
    defaults = dict(data=None, work_dir=None, cfg_options=None, gpus=None, gpu_memory=None)
    return list(findings(Namespace(config=config, **defaults | options)))


def test_a_config_and_a_folder_that_will_train_have_no_problem(shapes, tmp_path):
    options = ["--data", str(shapes), "--work-dir", str(tmp_path), "--gpu-memory", "8", "--json"]
    command = [sys.executable, str(ROOT / "tools/doctor.py"), PICO, *options]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = json.loads(ran.stdout)
    abouts = {line["about"] for line in lines}
    assert abouts >= {"torch", "config", "data", "model", "kernels", "disk", "learning rate", "BatchNorm"}
    assert not [line for line in lines if line["level"] == "problem"]


def test_a_bad_folder_and_an_unknown_key_are_problems(shapes, tmp_path):
    (problem,) = look(data=str(tmp_path))
    assert (problem.level, problem.about) == ("problem", "data")
    assert "no annotation file" in problem.text
    (problem,) = look(PICO, data=str(shapes), cfg_options=["train_cfg.max_epochs=3"])
    assert (problem.level, problem.about) == ("problem", "config")
    assert "train_cfg.max_epochs" in problem.text


def test_what_needs_no_data_is_looked_at_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = look("mask_rcnn_maxvit_t_coco", gpu_memory=1)
    assert {finding.about for finding in found if finding.level == "problem"} == {"data", "memory"}


def test_training_says_the_notes_and_stops_at_a_problem(capsys):
    heed([Finding("ok", "disk", "x"), Finding("note", "warm-up", "1000 of 780 steps")])
    assert capsys.readouterr().out == "note: warm-up: 1000 of 780 steps\n"
    with pytest.raises(SystemExit, match="disk: 1 GiB free"):
        heed([Finding("problem", "disk", "1 GiB free")])
