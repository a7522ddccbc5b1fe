"""The README's commands exist: files, targets, options, and the parameter table."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from maxvit_mm import MaxViT
from maxvit_mm.mmcv_ops import COMPILED_MMCV_LINES
from maxvit_mm.network import VARIANTS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
COMMANDS = [line for line in BLOCKS.splitlines() if line.strip()]


def test_the_readme_has_commands():
    assert "make demo" in COMMANDS
    assert "make test" in COMMANDS
    assert any("--data" in command for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_file_and_target_of_a_command_exists(command):
    words = shlex.split(command)
    for word in words:
        if word.startswith(("tools/", "configs/")):
            assert (ROOT / word).is_file(), word
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command


@pytest.mark.parametrize("tool", ["train.py", "test.py", "convert_weights.py", "classify.py", "summary.py"])
def test_every_option_that_the_readme_names_is_one_of_the_tool(tool):
    used = {
        option
        for command in COMMANDS
        if f"tools/{tool}" in command
        for option in re.findall(r"--[a-z-]+", command)
    }
    listed = {"train.py": "--work-dir --amp --auto-scale-lr --resume --cfg-options --launcher"}
    listed["test.py"] = "--work-dir --cfg-options --launcher --out --show-dir --tta"
    listed["convert_weights.py"] = "--to --image-size --normalization"
    listed["summary.py"] = "--shape"
    listed["classify.py"] = "--checkpoint --val --image-size"
    text = subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in used | set(listed[tool].split()):
        assert option in text


def test_the_lines_that_compile_mmcv_are_those_of_the_error_message():
    lines = [line.strip() for line in COMPILED_MMCV_LINES.strip().splitlines()]
    assert "\n".join(lines) in README


def test_the_table_of_sizes_is_true():
    rows = dict(re.findall(r"^\| (\w+) \| ([\d,]+) \|", README, re.MULTILINE))
    assert rows.keys() == VARIANTS.keys()
    for arch, parameters in rows.items():
        with torch.device("meta"):
            backbone = MaxViT(arch=arch)
        assert sum(p.numel() for p in backbone.parameters()) == int(parameters.replace(",", ""))


def test_pictures_and_links_of_the_readme_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target
