"""What can go wrong while tools/environment.py sets up, each in one sentence that says what to do.

Standard library only, and readable by Python 3.8, as the module that imports it.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

OLDEST_PYTHON = (3, 10)
OLDEST_TORCH = (2, 6)
TOO_NEW_TO_COMPILE = (3, 13)  # mmcv 2.1.0's setup.py relies on what `locals()` did before 3.13
NEEDED_GB = 2.5  # beside a CPU build of torch

# What pip or a proof prints, and the sentence that it earns; the first match counts.
DIAGNOSES = [
    (
        r"No space left on device",
        "the disk is full: free some for the environment and for TMPDIR "
        f"({NEEDED_GB} GB with a CPU build of torch, several times that with a CUDA build)",
    ),
    (
        r"Permission denied",
        "something there is not yours to write: leave this environment (`deactivate`), or use a "
        "clone of your own",
    ),
    (
        r"CUDA_HOME environment variable is not set",
        "this torch is for CUDA, but no nvcc is there to compile mmcv for it: "
        "install the CUDA toolkit or set CUDA_HOME",
    ),
    (
        r"name resolution|[Nn]ame or service not known|nodename nor servname|Connection refused"
        r"|Network is unreachable|No route to host|Failed to establish a new connection"
        r"|Connection reset|timed out|Tunnel connection failed|Could not fetch URL",
        "pip cannot reach its package index: check the network, the proxy and `pip config list`",
    ),
    (
        r"No matching distribution found for torch\b",
        "there is no prebuilt torch for this Python and machine: "
        "name another, for example `make demo PYTHON=python3.11`",
    ),
    (
        r"No matching distribution found for (\S+)",
        "pip finds no prebuilt {0} for this Python and machine: "
        "check `pip config list`, or name another, for example `make demo PYTHON=python3.11`",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "what we need, what this environment holds and what pip finds do not fit together: check "
        "the network and `pip config list`, or leave this environment (`deactivate`)",
    ),
    (
        r"operator torchvision::nms does not exist|torchvision/\S+\.so",
        "the installed torchvision was built for another torch: install the build that matches, "
        "or run `{python} -m pip uninstall torchvision`",
    ),
]


class SetupError(Exception):
    """One sentence that says what is wrong and what to do."""


class BrokenError(SetupError):
    """A failure that a fresh environment may cure."""


def release(version: str) -> tuple[int, ...]:
    """The numbers that open a version: "2.13.0+cu130" -> (2, 13, 0)."""
    return tuple(int(number) for number in re.match(r"\d+(\.\d+)*", version)[0].split("."))


def dotted(version) -> str:
    """The major and minor number: (3, 11, 7) -> "3.11"."""
    return ".".join(map(str, version[:2]))


def check_python(version) -> None:
    """Refuse a Python that is too old for the package."""
    if tuple(version[:2]) < OLDEST_PYTHON:
        raise SetupError(
            f"Python {dotted(version)} is too old, {dotted(OLDEST_PYTHON)} or newer is needed: "
            "name one, for example `make demo PYTHON=python3.11`"
        )


def check_compiler(version) -> None:
    """Refuse to start a build that cannot end well."""
    if tuple(version[:2]) >= TOO_NEW_TO_COMPILE:
        raise SetupError(
            f"mmcv 2.1.0 cannot be compiled for Python {dotted(version)}: name an older one, "
            "for example `make test-compiled PYTHON=python3.11`"
        )
    if not any(map(shutil.which, [os.environ.get("CXX", "c++"), "g++", "clang++"])):
        raise SetupError(
            "no C++ compiler is on the PATH: install one (Debian, Ubuntu: `apt install g++`), "
            "or run `make test`, which needs none"
        )


def diagnose(output: str, python: Path) -> str | None:
    """The sentence for what pip or a proof printed; None where nothing in it is known."""
    for pattern, sentence in DIAGNOSES:
        match = re.search(pattern, output)
        if match:
            return sentence.format(*match.groups(), python=python)
    return None
