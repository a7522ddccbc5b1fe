"""tools/doctor.py with a config and a folder."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT
from runs import PICO

from maxvit_mm.commands.train import heed
from maxvit_mm.measure.gpu_memory import Finding


def doctor(*arguments):
    """The exit status, and the lines."""
    command = [sys.executable, str(ROOT / "tools/doctor.py"), *map(str, arguments), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def test_a_config_and_a_folder_that_will_train_have_no_problem(shapes, tmp_path):
    status, lines = doctor(PICO, "--data", shapes, "--work-dir", tmp_path, "--gpu-memory", 8)
    abouts = {line["about"] for line in lines}
    assert status == 0
    assert abouts >= {"torch", "config", "data", "model", "kernels", "disk", "learning rate", "BatchNorm"}
    assert not [line for line in lines if line["level"] == "problem"]


def test_a_bad_folder_and_an_unknown_key_are_problems(shapes, tmp_path):
    status, lines = doctor("--data", tmp_path)
    assert status == 1
    assert "no annotation file" in lines[-1]["text"]
    status, lines = doctor(PICO, "--data", shapes, "--cfg-options", "train_cfg.max_epochs=3")
    assert status == 1
    assert (lines[-1]["level"], lines[-1]["about"]) == ("problem", "config")
    assert "train_cfg.max_epochs" in lines[-1]["text"]


def test_training_says_the_notes_and_stops_at_a_problem(capsys):
    heed([Finding("ok", "disk", "x"), Finding("note", "warm-up", "1000 of 780 steps")])
    assert capsys.readouterr().out == "note: warm-up: 1000 of 780 steps\n"
    with pytest.raises(SystemExit, match="disk: 1 GiB free"):
        heed([Finding("problem", "disk", "1 GiB free")])
