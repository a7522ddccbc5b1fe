"""The launchers in tools/: thin, all alike, and at home anywhere."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

# All but the doctor, a folder, which is loaded by its path where the package cannot be imported.
COMMANDS = sorted(
    path.stem for path in (ROOT / "maxvit_mm/commands").glob("*.py") if "def main(" in path.read_text()
)
LAUNCHER = """
import clone  # noqa: F401

from maxvit_mm.commands.{} import main

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_launcher_says_what_it_does_and_leaves_the_rest_to_its_command(command):
    title, _, rest = (ROOT / "tools" / f"{command}.py").read_text().partition("\n")
    assert title.startswith('"""')
    assert title.endswith('"""')
    assert rest == LAUNCHER.format(command)


def test_importing_a_command_loads_no_models_of_mmdetections():
    """They take seconds, and most of what a command is asked needs none: its options, a refusal."""
    program = f"""
import sys
from importlib import import_module
for command in {COMMANDS}:
    import_module(f"maxvit_mm.commands.{{command}}")
print([name for name in sys.modules if name.startswith("mmdet.models")])
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


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
    started = f"{ROOT / 'tools'}/torchrun.py --nnodes=1 --node_rank=0 --master_addr=127.0.0.1"
    assert said.startswith(started)
    assert said.strip().endswith(expected.format(tools=ROOT / "tools"))


def test_a_refusal_of_two_processes_is_said_once_and_without_a_traceback(tmp_path):
    (tmp_path / "refuse.py").write_text(
        "import os, sys, time\n"
        "time.sleep(60 * int(os.environ['RANK']))\n"  # the second waits, as our commands do
        "sys.exit('there is no config')\n"
    )
    ran = subprocess.run(
        ["bash", str(ROOT / "tools/dist_run.sh"), "2", str(tmp_path / "refuse.py")],
        env={**os.environ, "PYTHON": sys.executable, "PORT": "29631"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert ran.stderr.count("there is no config") == 1
    assert "Traceback" not in ran.stderr
    assert ran.stderr.endswith("process 0 ended with status 1; what it said stands above\n")


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
