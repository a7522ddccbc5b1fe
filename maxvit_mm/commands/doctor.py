"""What is wrong with an environment, each problem in a sentence with the command that mends it.

`tools/doctor.py` runs this file by its path: importing maxvit_mm would import torch and mmcv, which may be
just what is broken. So it is standard library only. Python 3.8 can read it, to say that 3.8 is too old.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

LITE, FULL = "mmcv-lite==2.1.0", "mmcv==2.1.0"

# What is imported in a process of its own, in this order. OpenCV comes first: a system library that it
# lacks is then not mistaken for one of torch. maxvit_mm comes last: it supplies the `mmcv._ext` of mmcv-lite.
MODULES = ["cv2", "torch", "torchvision", "mmengine", "mmcv", "mmcv._ext", "mmdet", "einops", "safetensors"]
MODULES += ["maxvit_mm"]
PEERS = ["timm", "vit_pytorch", "tensorflow", "peft", "onnx", "onnxscript", "onnxruntime"]
OPTIONAL = {"torchvision", "mmcv._ext"}
PROOF_OF_OPS = """
import torch
import mmcv._ext
from mmcv.ops import nms
boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0]])
assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5)[1].tolist() == [0]
"""
LOOK_FOR_GPU = """
import torch
found = torch.cuda.get_device_name() if torch.cuda.is_available() else None
"""
TRIALS = """
import json, sys, warnings
warnings.simplefilter("ignore")
for name, program in json.loads(sys.argv[1]).items():
    outcome, names = {}, {}
    try:
        exec(program, names)
        outcome["found"] = names.get("found")
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        outcome["error"] = f"{type(error).__name__}: {lines[0]}"
        outcome["missing"] = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    print("\\nTRIAL " + json.dumps([name, outcome]), flush=True)
"""


def installed() -> dict[str, str]:
    """Packages by their normalised names, with versions; what Python finds first counts."""
    found = [(package.metadata["Name"], package.version) for package in distributions()]
    return {re.sub("[-_.]+", "-", name).lower(): version for name, version in reversed(found) if name}


def release(version: str) -> tuple[int, ...]:
    """The numbers that open a version: "2.13.0+cu130" -> (2, 13, 0)."""
    return tuple(map(int, re.findall(r"\d+", version.split("+")[0])[:3]))


def pip(words: str) -> str:
    """A command of pip as the user types it here, for this Python."""
    python, here = sys.executable, f"{Path.cwd()}/"
    return f"{shlex.quote(python[len(here) :] if python.startswith(here) else python)} -m pip {words}"


def for_lite(remove: str) -> str:
    return f"run `{pip('uninstall -y ' + remove)} && {pip('install ' + LITE)}`"


def problems_of_packages(there: dict[str, str], compiled: bool) -> list[str]:
    """What the packages' names and versions show, and what installing would make worse."""
    problems = []
    torch, mmcv, lite = there.get("torch"), there.get("mmcv"), there.get("mmcv-lite")
    if torch and release(torch) < (2, 6):
        newer = pip("install 'torch>=2.6'")
        problems.append(
            f"torch {torch} cannot load checkpoints safely: run `{newer}`, or leave this environment "
            "(`deactivate`)"
        )
    strangers = [name for name in there if name.startswith("onedl-mm") or name == "mmcv-full"]
    if strangers:
        problems.append(
            f"{' and '.join(strangers)} and the packages that mmdet 3.3.0 needs own the same folders: "
            "leave this environment (`deactivate`), or "
            + for_lite(" ".join([*strangers, "mmcv", "mmcv-lite"]))
        )
    elif mmcv and lite:
        problems.append(
            f"mmcv {mmcv} and mmcv-lite {lite} own the same folder, so only one of them may be installed: "
            + for_lite("mmcv mmcv-lite")
        )
    else:
        for name, version in (("mmcv", mmcv), ("mmcv-lite", lite)):
            if version and not (2, 0, 0) <= release(version) < (2, 2):
                problems.append(f"mmdet 3.3.0 refuses {name} {version}: {for_lite(name)}")
        if compiled and lite:
            problems.append(
                f"mmcv-lite {lite} has no compiled ops: run `{pip('uninstall -y mmcv-lite')}`, "
                "then `make test-compiled`"
            )
    if compiled and not mmcv:
        if sys.version_info >= (3, 13):  # mmcv 2.1.0's setup.py relies on what `locals()` did before
            problems.append(
                f"mmcv 2.1.0 cannot be compiled for Python {sys.version_info[0]}.{sys.version_info[1]}: "
                "run `rm -r .venv-compiled`, then `make test-compiled PYTHON=python3.11`"
            )
        if not any(map(shutil.which, [os.environ.get("CXX", "c++"), "g++", "clang++"])):
            problems.append(
                "no C++ compiler is on the PATH: install one (Debian, Ubuntu: `apt install g++`), "
                "or run `make test`, which needs none"
            )
    return problems


def attempt(programs: dict[str, str]) -> dict[str, dict]:
    """What came of each program, run one after another in a process that may crash."""
    # Not in the clone, where folders would pass for installed packages.
    same = ["-S"] if sys.flags.no_site else []
    child = subprocess.run(
        [sys.executable, *same, "-c", TRIALS, json.dumps(programs)],
        cwd=sys.prefix,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    lines = (line[6:] for line in child.stdout.splitlines() if line.startswith("TRIAL "))
    outcomes = dict(map(json.loads, lines))
    crashed = [name for name in programs if name not in outcomes]
    if crashed:
        outcomes[crashed[0]] = {"error": f"the process ends with status {child.returncode}"}
    return outcomes


def diagnose(name: str, error: str, there: dict[str, str]) -> str:
    """The sentence for a module that is there and cannot be imported."""
    library = re.search(r"(\S+\.(?:so|dylib)\S*): cannot open shared object file", error)
    if name == "cv2" and library:
        version = there.get("opencv-python") or there.get("opencv-contrib-python") or "5.0.0.93"
        headless = f"install --force-reinstall --no-deps opencv-python-headless=={version}"
        return f"OpenCV needs the system library {library[1]}, which is not here: run `{pip(headless)}`"
    if name == "torchvision":
        return (
            f"torchvision {there.get(name)} was built for another torch than {there.get('torch')} ({error}): "
            f"run `{pip('uninstall -y torchvision')}` (it is not needed), or install the build that matches"
        )
    if name == "mmcv._ext":
        build = "install --no-deps --force-reinstall --no-build-isolation --no-binary mmcv --no-cache-dir"
        return (
            f"the compiled ops of mmcv {there.get('mmcv')} do not work beside torch {there.get('torch')} "
            f"({error}): run `MMCV_WITH_OPS=1 {pip(f'{build} {FULL}')}`"
        )
    if "pkg_resources" in error:
        older = pip("install 'setuptools>=64,<81'")
        return f"{name} needs the pkg_resources of an older setuptools: run `{older}`"
    return (
        f"{name} is installed and cannot be imported ({error}): reinstall it, "
        f"`{pip('install --force-reinstall --no-deps')} ...`, or start afresh (`make clean`, or `deactivate`)"
    )


def problems_of_imports(
    outcomes: dict[str, dict], there: dict[str, str], compiled: bool, peers: bool
) -> list[str]:
    """What importing everything showed; an error that only came through from beneath is said once."""
    absent, problems, said = [], [], set()
    for name, outcome in outcomes.items():
        error = outcome.get("error")
        if error is None or error in said:
            continue
        said.add(error)
        if outcome.get("missing") != name or (name == "mmcv._ext" and compiled):
            problems.append(diagnose(name, error, there))
        elif name not in OPTIONAL:
            absent.append(name)
    if absent:
        make = f"make test{'-peers' if peers else ''}"
        problems.append(f"{', '.join(absent)} cannot be found: run `{make}`, which installs what is missing")
    return problems


def report(there: dict[str, str], outcomes: dict[str, dict]) -> None:
    """The short list of what was found."""
    compiled = "error" not in outcomes.get("mmcv._ext", {"error": "not tried"})
    ops = "with its compiled ops" if compiled else "no compiled ops; maxvit_mm has those that detectors need"
    mmcv = [f"{name} {there[name]} ({ops})" for name in ("mmcv", "mmcv-lite") if name in there]
    opencv = [f"{name} {version}" for name, version in there.items() if name.startswith("opencv")]
    rows = {
        "Python": f"{'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}",
        "torch": there.get("torch"),
        "torchvision": there.get("torchvision", "none, and none is needed"),
        "mmcv": " and ".join(mmcv),
        "mmengine": there.get("mmengine"),
        "mmdet": there.get("mmdet"),
        "OpenCV": " and ".join(opencv),
        "GPU": outcomes.get("GPU", {}).get("found"),
    }
    for name, value in rows.items():
        print(f"  {name:<12} {value or 'none'}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What is wrong with this environment, and what mends it.")
    parser.add_argument("--compiled", action="store_true", help="mmcv's own compiled ops must run")
    parser.add_argument("--peers", action="store_true", help="other implementations must be there too")
    parser.add_argument("--before", action="store_true", help="only what installing would not mend")
    options = parser.parse_args(arguments)

    if sys.version_info < (3, 10):  # noqa: UP036
        old = f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old, 3.10 or newer is needed"
        print(f"doctor: {old}: run `make test PYTHON=python3.11`")
        return 1
    there, outcomes = installed(), {}
    problems = problems_of_packages(there, options.compiled)
    if not problems and not options.before:
        programs = {name: f"import {name}" for name in [*MODULES, *(PEERS if options.peers else [])]}
        programs["GPU"] = LOOK_FOR_GPU
        if options.compiled:
            programs["mmcv._ext"] = PROOF_OF_OPS
        outcomes = attempt(programs)
        problems = problems_of_imports(outcomes, there, options.compiled, options.peers)
    if not options.before:
        report(there, outcomes)
    for problem in problems:
        print(f"doctor: {problem}.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
