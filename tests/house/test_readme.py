"""The README's commands exist: files, targets, options, and the parameter table."""

import re
import shlex
import subprocess
import sys

import pytest
import torch
import yaml
from conftest import ROOT

from maxvit_mm import MaxViT
from maxvit_mm.measure.config_cost import summarise
from maxvit_mm.network import VARIANTS
from maxvit_mm.openmmlab.mmcv_ops import COMPILED_MMCV_LINES

README = (ROOT / "README.md").read_text()
ZOO = (ROOT / "configs/README.md").read_text()
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", README + ZOO, re.DOTALL)).replace("\\\n", " ")
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
    listed["test.py"] = "--work-dir --cfg-options --launcher --out --show-dir --tta --deploy"
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


@pytest.mark.parametrize("page", ["README.md", "configs/README.md"])
def test_pictures_and_links_are_there(page):
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text()):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


def configs(with_amp):
    found = {path.stem for path in (ROOT / "configs").glob("*.py")}
    return {name for name in found if with_amp or "_amp_" not in name}


def test_the_zoo_and_the_metafile_list_every_config():
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.py\) \|", ZOO, re.MULTILINE)
    assert {name for name, _ in rows} == configs(with_amp=False)
    assert all(name == target for name, target in rows)
    metafile = yaml.safe_load((ROOT / "configs/metafile.yml").read_text())
    assert {model["Name"] for model in metafile["Models"]} == configs(with_amp=True)
    for model in metafile["Models"]:
        assert model["Config"] == f"configs/{model['Name']}.py"


@pytest.mark.parametrize(
    "name",
    [
        "mask_rcnn_maxvit_t_coco",
        "cascade_mask_rcnn_maxvit_xl_coco",
        "cascade_mask_rcnn_maxvit_t_896_coco",
        "cascade_mask_rcnn_maxvit_b_640_coco",
        "retinanet_maxvit_b_640_coco",
        "panoptic_fpn_maxvit_t_coco",
    ],
)
def test_the_zoos_figures_are_what_the_command_counts(name):
    row = next(line for line in ZOO.splitlines() if line.startswith(f"| [{name}]"))
    assert row.split(" | ")[1:6] == summarise(name).row().strip("| ").split(" | ")[1:6]
