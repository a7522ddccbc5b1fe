"""What is wrong with an environment, each problem in a sentence with the command that mends it.

`tools/doctor.py` loads this folder by its path: importing maxvit_mm would import torch and mmcv, which may
be just what is broken. So it is standard library only. Python 3.8 can read it, to say that 3.8 is too old.

    packages    what names and versions show
    imports     what importing everything shows, in a process of its own
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Tuple  # noqa: UP035  (Python 3.8 reads this file)

from .imports import (
    cards,
    is_guarded,
    look,
    problem_of_driver,
    problems_of_imports,
    torchvision_beside,
    torchvision_for,
)
from .packages import (
    FOLDERS,
    OF_TASKS,
    family_of,
    installed,
    of_task,
    pip,
    problem_of_families,
    problems_of_packages,
)

Finding = Tuple[str, str, str]  # noqa: UP006  ('ok', 'note' or 'problem'; about; a text)


def versions_found(there: dict[str, str], outcomes: dict[str, dict], known: list[dict]) -> Iterator[Finding]:
    """The short list of what there is."""
    compiled = "error" not in outcomes.get("mmcv._ext", {"error": "not tried"})
    ops = "with its compiled ops" if compiled else "no compiled ops; maxvit_mm has those that detectors need"

    def versions(*names: str) -> str:
        return " and ".join(f"{name} {there[name]}" for name in names if name in there)

    mmcv = versions("mmcv", "mmcv-lite", "mmcv-full", "onedl-mmcv")
    drivers = {gpu["name"]: gpu["driver"] for gpu in known}
    seen = outcomes.get("GPU", {}).get("found") or []
    gpus = [described({**gpu, "driver": drivers.get(gpu["name"])}) for gpu in seen]
    rows = {
        "Python": f"{'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}",
        "torch": there.get("torch"),
        "torchvision": there.get("torchvision", "none; only classification needs it"),
        "OpenMMLab": family_of(there),
        "mmcv": f"{mmcv} ({ops})" if mmcv else None,
        "mmengine": versions("mmengine", "onedl-mmengine"),
        "mmdet": versions("mmdet", "onedl-mmdetection"),
        "OpenCV": versions(*(name for name in there if name.startswith("opencv"))),
        "GPU": " and ".join(gpus),
    }
    for folder, (task, *_) in OF_TASKS.items():
        command = pip(f"install {of_task(folder, rows['OpenMMLab'])}")
        absent = f"none; only {task} needs it: `{command}`"
        rows[folder] = versions(*(name for names in FOLDERS[folder] for name in names)) or absent
    levels = {"OpenMMLab": "problem"} if problem_of_families(there) else {}
    if is_guarded(outcomes):
        levels["torchvision"] = "note"
        build = pip(f"install --force-reinstall --no-deps {torchvision_for(there['torch'])}")
        rows["torchvision"] = (
            f"{there['torchvision']}, whose compiled ops do not load beside torch {there['torch']}: it "
            f"serves without them, and the ops of detectors run in PyTorch. For compiled ones, `{build}`"
        )
    for name, value in rows.items():
        yield levels.get(name, "ok"), name, value or "none"
    if seen and "triton" in there:
        yield "ok", "Triton", there["triton"]
    elif seen:
        yield "note", "Triton", f"none, so no kernels of ours: `{pip('install triton')}`"


def described(gpu: dict) -> str:
    """A GPU with its memory, capability and driver, as far as they are known."""
    more = [f"{gpu['memory'] / 2**30:.0f} GiB"] if gpu.get("memory") else []
    if gpu.get("capability"):
        more.append(f"capability {'.'.join(map(str, gpu['capability']))}")
    more += [f"{name} {gpu[name]}" for name in ("CUDA", "driver") if gpu.get(name)]
    return f"{gpu['name']} ({', '.join(more)})" if more else gpu["name"]


def show(findings: list[Finding]) -> None:
    """A line for each, ok, note or problem."""
    for level, about, text in findings:
        first, *rest = text.splitlines() or [""]
        print(f"  {level:<8} {about:<14} {first}")
        for line in rest:
            print(f"  {'':<8} {'':<14} {line}")


def of_a_training(options: argparse.Namespace) -> list[Finding]:
    """What a config and a folder show. The environment is sound, so the package can be imported."""
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # mmengine's, in each module
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    return [tuple(finding) for finding in import_module("maxvit_mm.commands.checkup").findings(options)]


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns its exit status, 1 where there is a problem."""
    parser = argparse.ArgumentParser(description="What is wrong with this environment, and what mends it.")
    parser.add_argument("--compiled", action="store_true", help="mmcv's own compiled ops must run")
    parser.add_argument("--peers", action="store_true", help="other implementations must be there too")
    parser.add_argument("--before", action="store_true", help="only what installing would not mend")
    parser.add_argument("--torchvision", action="store_true", help="print which one pip is to install first")
    parser.add_argument("config", nargs="?", help="a config, or the name of one of ours: will it train here?")
    parser.add_argument("--data", metavar="DIR", help="a folder of your own images, as for tools/train.py")
    parser.add_argument("--work-dir", help="where the training would write")
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="changes of the config")
    parser.add_argument("--gpus", type=int, metavar="N", help="processes of the training; else those here")
    parser.add_argument(
        "--gpu-memory", type=float, metavar="GIB", help="of a GPU that is not here: does a step fit it?"
    )
    parser.add_argument("--json", action="store_true", help="print the lines as JSON")
    options = parser.parse_args(arguments)

    if sys.version_info < (3, 10):  # noqa: UP036
        old = f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old, 3.10 or newer is needed"
        show([("problem", "environment", f"{old}: run `make test PYTHON=python3.11`")])
        return 1
    there, outcomes, known = installed(), {}, []
    if options.torchvision:
        print(torchvision_beside(there))
        return 0
    problems = problems_of_packages(there, options.compiled)
    if not problems and not options.before:
        outcomes = look(options.compiled, options.peers)
        problems = problems_of_imports(outcomes, there, options.compiled, options.peers)
        known = cards()
        unseen = problem_of_driver(known, outcomes.get("GPU", {}).get("found") or [], there.get("torch", ""))
        problems += [unseen] if unseen else []
    findings = [] if options.before else list(versions_found(there, outcomes, known))
    findings += [("problem", "environment", f"{problem}.") for problem in problems]
    if (options.config or options.data) and not problems:
        findings += of_a_training(options)
    if options.json:
        rows = [{"level": level, "about": about, "text": text} for level, about, text in findings]
        print(json.dumps(rows, indent=1))
    else:
        show(findings)
    return 1 if any(level == "problem" for level, _, _ in findings) else 0
