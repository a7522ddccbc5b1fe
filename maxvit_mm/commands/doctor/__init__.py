"""What is wrong with an environment, each problem in a sentence with the command that mends it.

`tools/doctor.py` loads this folder by its path: importing maxvit_mm would import torch and mmcv, which may
be just what is broken. So it is standard library only. Python 3.8 can read it, to say that 3.8 is too old.

    packages    what names and versions show
    imports     what importing everything shows, in a process of its own
"""

from __future__ import annotations

import argparse
import sys

from .imports import look, problems_of_imports
from .packages import family_of, installed, problems_of_packages


def report(there: dict[str, str], outcomes: dict[str, dict]) -> None:
    """The short list of what was found."""
    compiled = "error" not in outcomes.get("mmcv._ext", {"error": "not tried"})
    ops = "with its compiled ops" if compiled else "no compiled ops; maxvit_mm has those that detectors need"

    def versions(*names: str) -> str:
        return " and ".join(f"{name} {there[name]}" for name in names if name in there)

    mmcv = versions("mmcv", "mmcv-lite", "mmcv-full", "onedl-mmcv")
    torchvision = there.get("torchvision", "none, and none is needed")
    if outcomes.get("torchvision", {}).get("found") == "without ops":
        torchvision += ", whose ops do not work beside this torch; its models do"
    gpus = [gpu["name"] for gpu in outcomes.get("GPU", {}).get("found") or []]
    rows = {
        "Python": f"{'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}",
        "torch": there.get("torch"),
        "torchvision": torchvision,
        "OpenMMLab": family_of(there),
        "mmcv": f"{mmcv} ({ops})" if mmcv else None,
        "mmengine": versions("mmengine", "onedl-mmengine"),
        "mmdet": versions("mmdet", "onedl-mmdetection"),
        "OpenCV": versions(*(name for name in there if name.startswith("opencv"))),
        "GPU": " and ".join(gpus),
    }
    for name, value in rows.items():
        print(f"  {name:<12} {value or 'none'}")


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns its exit status, 1 where there is a problem."""
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
        outcomes = look(options.compiled, options.peers)
        problems = problems_of_imports(outcomes, there, options.compiled, options.peers)
    if not options.before:
        report(there, outcomes)
    for problem in problems:
        print(f"doctor: {problem}.")
    return 1 if problems else 0
