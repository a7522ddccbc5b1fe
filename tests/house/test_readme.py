"""What the pages say of files, options, arguments and sizes is so; test_page_commands.py runs commands."""

import ast
import inspect
import re

import pytest
import torch
import yaml
from conftest import ROOT
from pages import PAGES, anchor, blocks, commands, headings, links, section, spans, table, words_of
from tool_parsers import TOOLS, options_of

from maxvit_mm import MaxViT
from maxvit_mm.commands.summary import main as summary
from maxvit_mm.network import VARIANTS
from maxvit_mm.openmmlab.mmcv_ops.compiled import COMPILED_MMCV_LINES, COMPILED_ONEDL_LINES

COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands(page)))
OURS = re.compile(r"(tools|configs|tests|docs|maxvit_mm)/[\w./-]+")


def test_a_stranger_reads_the_readme_in_one_go():
    assert len(PAGES["README.md"].splitlines()) <= 190


def test_the_readme_leads_to_every_page():
    assert {ROOT / page for page in PAGES} - {ROOT / "README.md"} <= {file for file, _ in links("README.md")}


def test_the_readme_begins_with_two_commands():
    assert [command for command in commands("README.md") if command.startswith("make ")][:2] == [
        "make demo",
        "make test",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_file_and_target_of_a_command_exists(command):
    _, words = words_of(command)
    for word in words:
        if OURS.fullmatch(word):
            assert (ROOT / word).is_file(), word
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    if words[0] == "mim":
        assert (ROOT / "configs" / words[-1]).is_file()


@pytest.mark.parametrize("command", [command for command in COMMANDS if "pip install" in command])
def test_every_extra_that_pip_is_asked_for_is_one_of_the_package(command):
    for extras in re.findall(r"\.\[([\w,]+)\]", command):
        for extra in extras.split(","):
            assert f'"{extra}": [' in (ROOT / "setup.py").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page):
    named = [span for span in spans(page) if OURS.fullmatch(span)]
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_and_links_are_there(page):
    for file, name in links(page):
        assert file.exists(), file
        if name:
            assert name in map(anchor, headings(str(file.resolve().relative_to(ROOT)))), name


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_a_page_names_is_one_of_a_tool(page):
    for span in spans(page):
        tool = re.match(r"tools/(\w+\.py) --", span)
        known = options_of(tool[1]) if tool else {"--help"}.union(*map(options_of, TOOLS))
        if tool or span.startswith("--"):
            assert set(re.findall(r"--[a-z][a-z0-9-]*", span)) <= known, span


@pytest.mark.parametrize("tool", TOOLS)
def test_the_page_of_commands_lists_the_options_that_a_tool_has(tool):
    rows = table(section("docs/commands.md", f"tools/{tool}"), "option")
    assert {row.split()[0] for row in rows} == options_of(tool)


def test_the_page_of_commands_shows_every_launcher():
    shown = {word for command in commands("docs/commands.md") for word in command.split()}
    launchers = {f"tools/{path.name}" for path in (ROOT / "tools").glob("*_*.sh") if "_run" not in path.name}
    assert launchers
    assert launchers <= shown


def test_the_page_of_installing_lists_the_targets_of_make():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help"}
    assert set(table(PAGES["docs/install.md"], "target")) == {f"make {target}" for target in targets}


@pytest.mark.parametrize("message", [COMPILED_MMCV_LINES, COMPILED_ONEDL_LINES])
def test_the_lines_that_compile_mmcv_are_those_of_the_error_message(message):
    lines = [line.strip() for line in message.strip().splitlines()]
    assert "\n".join(lines) in "\n".join(blocks("docs/install.md", "bash"))


def test_the_table_of_arguments_is_the_backbones_signature():
    parameters = inspect.signature(MaxViT).parameters.values()
    rows = table(PAGES["docs/config.md"], "argument")
    assert {name: cells[0] for name, cells in rows.items()} == {p.name: repr(p.default) for p in parameters}


def test_the_table_of_sizes_is_true():
    rows = table(PAGES["docs/config.md"], "arch")
    assert rows.keys() == VARIANTS.keys()
    for arch, (parameters, widths, depths) in rows.items():
        with torch.device("meta"):
            backbone = MaxViT(arch=arch)
        assert sum(p.numel() for p in backbone.parameters()) == int(parameters.replace(",", ""))
        assert [tuple(map(int, cell.split(", "))) for cell in (widths, depths)] == list(VARIANTS[arch][1:])


def test_the_readme_counts_the_released_weights():
    rows = re.findall(
        r"^\| (?:MaxViT-\w+|torchvision's .*?) \| ImageNet", PAGES["docs/weights.md"], re.MULTILINE
    )
    assert f"each of the {len(rows)} released" in PAGES["README.md"]


def test_the_rows_of_the_readme_on_speed_are_those_of_the_page_on_speed():
    shown, measured = (table(PAGES[page], "work") for page in ("README.md", "docs/speed.md"))
    assert len(shown) == 5
    for work, cells in shown.items():
        assert [measured[work][i] for i in (0, 1, 3, 4, 6)] == cells


def test_the_house_is_drawn_alike_on_both_pages():
    drawing = blocks("README.md", "")[-1]
    assert "network --+->" in drawing
    assert drawing in blocks("docs/house.md", "")


def test_the_seams_on_the_page_are_those_of_the_network():
    marked = set()
    for path in (ROOT / "maxvit_mm/network").glob("*.py"):
        for cls in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)):
            for method in (node for node in cls.body if isinstance(node, ast.FunctionDef)):
                if "has_fast_twin" in map(ast.unparse, method.decorator_list):
                    marked.add(f"{cls.name}.{method.name}")
    assert set(table(PAGES["docs/house.md"], "seam")) == marked
    assert marked <= set(spans("docs/speed.md"))


def test_the_twins_on_the_pages_are_those_of_the_table():
    import maxvit_mm.fast  # noqa: F401  (it fills the table)
    from maxvit_mm.network.twins import TWINS, Twin

    assert tuple(table(PAGES["docs/house.md"], "field of `Twin`")) == Twin._fields
    names = {twin.name for twins in TWINS.values() for twin in twins}
    rows = table(PAGES["docs/speed.md"], "`implementation`")
    assert set(map(ast.literal_eval, rows)) == names | {"auto", "plain"}


def configs(with_amp):
    """Our configs by their names, with the path of each below `configs`, without its suffix."""
    found = [path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.py")]
    leaves = {path.stem: path.with_suffix("").as_posix() for path in found if "_base_" not in path.parts}
    return {name: path for name, path in leaves.items() if with_amp or "_amp_" not in name}


def test_the_zoo_and_the_metafile_list_every_config():
    rows = re.findall(r"^\| \[(\w+)\]\(([\w/]+)\.py\) \|", PAGES["configs/README.md"], re.MULTILINE)
    assert dict(rows) == configs(with_amp=False)
    metafile = yaml.safe_load((ROOT / "configs/metafile.yml").read_text())
    listed = {model["Name"]: model["Config"] for model in metafile["Models"]}
    assert listed == {name: f"configs/{path}.py" for name, path in configs(with_amp=True).items()}


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
def test_the_zoos_figures_are_what_the_command_counts(name, capsys):
    summary([name])
    counted = table(capsys.readouterr().out, "config")[name]
    assert table(PAGES["configs/README.md"], "config")[f"[{name}]({name}.py)"][:5] == counted
