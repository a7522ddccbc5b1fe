"""The commands of the pages are run, as far as that needs no weights, no network and no minutes."""

import argparse
import ast
import os
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from pages import PAGES, blocks, commands, tool_call, words_of
from runs import onnx_file
from tool_parsers import ReachedError, run_tool, stopped

from maxvit_mm.data.shapes import make_shapes
from maxvit_mm.openmmlab.config_checks import check_model

COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands(page)))
KINDS = {".", "bash", "gsutil", "make", "mim", "mkdir", "pip", "python"}
DETECTORS = [
    *("CHECKPOINT", "maxvit_t.pth", "maxvit_s.pth"),
    *("work_dirs/mine/iter_1000.pth", "work_dirs/mask_rcnn_maxvit_t_coco/epoch_12.pth"),
]
CLASSIFIERS = ["maxvit_t_classifier.pth", "work_dirs/maxvit_t_CLASSES/epoch_60.pth"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's folder with all that commands name: images, COCO's files, checkpoints, and an srun to see."""
    home = tmp_path_factory.mktemp("home")
    make_shapes(home / "FOLDER", 4, 2)
    (home / "data/coco/annotations").mkdir(parents=True)
    (home / "data/shapes").symlink_to(home / "FOLDER")
    for split in ("train2017", "val2017"):
        (home / "data/coco" / split).mkdir()
        (home / f"data/coco/annotations/instances_{split}.json").touch()
    make_shapes(home / "CLASSES", 8, 4, task="classification")
    for name in ("data/shapes_classes", "tiny-imagenet-200"):
        (home / name).symlink_to(home / "CLASSES")
    classifier = Config.fromfile(ROOT / "configs/classification/maxvit_pico_shapes_classes.py").pretty_text
    text = Config.fromfile(ROOT / "configs/mask_rcnn_maxvit_pico_shapes.py").pretty_text
    for name in [*DETECTORS, *CLASSIFIERS]:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        about = {"cfg": classifier if name in CLASSIFIERS else text}
        torch.save({"state_dict": {}, "meta": about, "message_hub": {}}, home / name)
    onnx_file(home / "mine.onnx", meta={"cfg": text}, holds="detector")
    (home / "bin").mkdir()
    (home / "bin/srun").write_text('#!/bin/sh\necho "$@"\n')
    (home / "bin/srun").chmod(0o755)
    return home


@pytest.fixture
def at_home(home, monkeypatch):
    """In that folder, on a machine with a GPU as far as anyone asks."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.delenv("MAXVIT_MM_IMPLEMENTATION", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return home


def follow(tool, arguments):
    """Train and test up to the moment when all is checked and building begins; others to their options."""
    builds = tool in ("train.py", "test.py")
    point = (Runner, "from_cfg") if builds else (argparse.ArgumentParser, "parse_args")
    with stopped(*point, after=not builds), pytest.raises(ReachedError):
        run_tool(tool, arguments)


def test_every_command_is_of_a_kind_that_a_test_looks_at():
    assert {words_of(command)[1][0] for command in COMMANDS} == KINDS


@pytest.mark.parametrize("command", [command for command in COMMANDS if tool_call(command)])
def test_a_tool_takes_the_arguments_of_the_pages(command, at_home):
    follow(*tool_call(command))


@pytest.mark.parametrize("command", [command for command in COMMANDS if "bash tools/" in command])
def test_a_launcher_starts_its_tool_with_arguments_that_it_takes(command, at_home):
    variables, words = words_of(command)
    path = f"{at_home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, **variables, "PYTHON": "echo", "PATH": path}
    started = subprocess.run(
        words, cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    cut = next(i for i, word in enumerate(started) if word.startswith("tools/"))
    follow(Path(started[cut]).name, started[cut + 1 :])


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("python -c")])
def test_a_line_of_python_is_one(command):
    ast.parse(shlex.split(command)[2])


def test_a_command_with_a_mistyped_option_or_key_would_be_found(at_home):
    for arguments in (["--resumes"], ["--cfg-options", "train_cgf.max_epochs=1"], ["--data", "NOWHERE"]):
        with stopped(Runner, "from_cfg"), pytest.raises(SystemExit):
            run_tool("train.py", ["configs/mask_rcnn_maxvit_t_coco.py", *arguments])


PYTHON = [
    pytest.param(text, id=f"{page}-{i}") for page in PAGES for i, text in enumerate(blocks(page, "python"))
]
CONFIGS = [case for case in PYTHON if "import " not in case.values[0]]
EXCERPTS = [case for case in PYTHON if case.values[0].startswith("# ")]
# That of an ONNX file needs one, and runs in tests/commands/test_export_command.py.
ONNX = [case for case in PYTHON if "onnxruntime" in case.values[0]]
PROGRAMS = [case for case in PYTHON if case not in CONFIGS + EXCERPTS + ONNX]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_pages_runs(program, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    if "work_dirs/mine" in program:
        (tmp_path / "work_dirs").mkdir()
        trained, shapes = (request.getfixturevalue(name) for name in ("trained", "shapes"))
        (tmp_path / "PICTURES").symlink_to(shapes / "val2017")
        (tmp_path / "work_dirs/mine").mkdir()
        (tmp_path / "work_dirs/mine/iter_1000.pth").symlink_to(trained / "iter_2.pth")
        for name, task in (("iter_20000.pth", "segmenter"), ("epoch_100.pth", "classifier")):
            (tmp_path / "work_dirs/mine" / name).symlink_to(request.getfixturevalue(task))
    monkeypatch.delenv("MAXVIT_MM_IMPLEMENTATION", raising=False)
    exec(compile(program, "page", "exec"), {})


@pytest.mark.parametrize("excerpt", EXCERPTS)
def test_an_excerpt_names_the_file_that_it_would_be_in_and_is_python(excerpt):
    assert (ROOT / excerpt.splitlines()[0].removeprefix("# ")).parent.is_dir()
    ast.parse(excerpt)


@pytest.mark.parametrize("text", CONFIGS)
def test_a_config_of_the_pages_can_be_built(text, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(f"_base_ = {str(ROOT / 'configs/mask_rcnn_maxvit_t_coco.py')!r}\n{text}")
    cfg = Config.fromfile(path)
    names = [node.targets[0].id for node in ast.parse(text).body]
    assert {"model", "custom_hooks", "optim_wrapper"} & set(names)
    check_model(cfg.model)
    with torch.device("meta"):
        backbone = MODELS.build(cfg.model.backbone)
    for hook in cfg.custom_hooks:
        HOOKS.build(hook)
    build_optim_wrapper(torch.nn.ModuleDict({"backbone": backbone}), cfg.optim_wrapper)
