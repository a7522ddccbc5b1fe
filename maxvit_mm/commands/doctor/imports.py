"""What importing everything shows, in a process of its own, which may crash."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from .packages import FOLDERS, FULL, OF_TASKS, ONEDL_MMCV, pip, release

WHEELS = "https://download.pytorch.org/whl"
CU126 = f"{WHEELS}/cu126"  # the oldest CUDA that torch is built for knows the oldest GPUs

# What is imported in a process of its own, in this order. OpenCV comes first: a system library that it
# lacks is then not mistaken for one of torch. maxvit_mm comes last: it supplies the `mmcv._ext` of mmcv-lite.
MODULES = ["cv2", "torch", "torchvision", "mmengine", "mmcv", "mmcv._ext", "mmdet", "einops", "safetensors"]
MODULES += ["maxvit_mm"]
PEERS = ["timm", "vit_pytorch", "tensorflow", "peft", "onnx", "onnxscript", "onnxruntime"]
OPTIONAL = {"torchvision", "mmcv._ext", *OF_TASKS}
# Once maxvit_mm is imported, which brings a torchvision without its compiled ops where those do not load.
GUARDED = "torchvision with maxvit_mm"
AFTER_OURS = {
    GUARDED: "import maxvit_mm, torchvision",
    **{folder: f"import maxvit_mm, {folder}.models, {folder}.datasets" for folder in OF_TASKS},
}
PROOF_OF_OPS = """
import torch
import mmcv._ext
from mmcv.ops import nms
boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0]])
assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5)[1].tolist() == [0]
"""
LOOK_FOR_GPUS = """
import torch
cuda = torch.cuda
built_for = [] if torch.version.hip else cuda.get_arch_list()
found = [
    {
        "name": cuda.get_device_name(i),
        "capability": cuda.get_device_capability(i),
        "memory": getattr(cuda.get_device_properties(i), "total_memory", 0),
        "CUDA": torch.version.cuda or torch.version.hip,
        "built_for": built_for,
    }
    for i in range(cuda.device_count() if cuda.is_available() else 0)
]
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


def look(compiled: bool, peers: bool) -> dict[str, dict]:
    """What came of importing each module, and of looking for GPUs."""
    programs = {name: f"import {name}" for name in [*MODULES, *(PEERS if peers else [])]}
    programs.update(AFTER_OURS)
    programs["GPU"] = LOOK_FOR_GPUS
    if compiled:
        programs["mmcv._ext"] = PROOF_OF_OPS
    return attempt(programs)


def cards() -> list[dict]:
    """The GPUs that NVIDIA's driver knows, whatever torch sees, with its version."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = (line.split(", ") for line in child.stdout.splitlines() if child.returncode == 0)
    return [{"name": row[0], "driver": row[1]} for row in rows if len(row) == 2]


def problem_of_driver(known: list[dict], seen: list[dict], torch: str) -> str | None:
    """A GPU that the driver knows and torch does not see, unless it was hidden on purpose."""
    if not known or seen or os.environ.get("CUDA_VISIBLE_DEVICES") is not None:
        return None
    _, _, build = torch.partition("+")
    why = (
        "was built without CUDA: run `{}`".format(pip("install --force-reinstall torch"))
        if build == "cpu"
        else "does not see it: the driver may be older than its CUDA. Update the driver, or run "
        f"`{pip(f'install --force-reinstall torch --index-url {CU126}')}`"
    )
    return f"there is a GPU, {known[0]['name']} (driver {known[0]['driver']}), and torch {torch} {why}"


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


def is_guarded(outcomes: dict[str, dict]) -> bool:
    """Whether a torchvision is there whose compiled ops do not load, and which serves without them."""
    alone, guarded = outcomes.get("torchvision", {}), outcomes.get(GUARDED, {"error": "not tried"})
    return "error" in alone and alone.get("missing") != "torchvision" and "error" not in guarded


def diagnose(name: str, error: str, missing: str | None, there: dict[str, str]) -> str:
    """The sentence for a module that is there and cannot be imported; `missing` is what it did not find."""
    library = re.search(r"(\S+\.(?:so|dylib)\S*): cannot open shared object file", error)
    if name == "cv2" and library:
        version = there.get("opencv-python") or there.get("opencv-contrib-python") or "5.0.0.93"
        headless = f"install --force-reinstall --no-deps opencv-python-headless=={version}"
        return f"OpenCV needs the system library {library[1]}, which is not here: run `{pip(headless)}`"
    torch = there.get("torch", "")
    if name == "torchvision":
        return (
            f"torchvision {there.get(name)} was built for another torch than {torch} ({error}): run "
            f"`{pip('uninstall -y torchvision')}` (it is not needed), or put the build for this torch in its "
            f"place, `{pip('install --force-reinstall --no-deps ' + torchvision_for(torch))}`"
        )
    if name in OF_TASKS and missing:
        owner = next((each for names in FOLDERS[name] for each in names if each in there), name)
        wanted = {"torchvision": torchvision_for(torch), "ftfy": "ftfy regex"}.get(missing, missing)
        return (
            f"{owner} {there.get(owner)} needs {missing}, which is not here: run `{pip('install ' + wanted)}`"
        )
    if name == "mmcv._ext":
        package = "onedl-mmcv" if "onedl-mmcv" in there else "mmcv"
        how = f"--no-deps --force-reinstall --no-build-isolation --no-binary {package} --no-cache-dir"
        build = pip(f"install {how} {ONEDL_MMCV}") if package != "mmcv" else pip(f"install {how} {FULL}")
        return (
            f"the compiled ops of {package} {there.get(package)} do not work beside torch {torch} ({error}): "
            f"run `{'MMCV_WITH_OPS=1 ' if package == 'mmcv' else ''}{build}`"
        )
    if "pkg_resources" in error:
        older = pip("install 'setuptools>=64,<81'")
        return f"{name} needs the pkg_resources of an older setuptools: run `{older}`"
    return (
        f"{name} is installed and cannot be imported ({error}): reinstall it, "
        f"`{pip('install --force-reinstall --no-deps')} ...`, or start afresh (`make clean`, or `deactivate`)"
    )


def torchvision_beside(there: dict[str, str]) -> str:
    """What pip is told before all else, for torchvision to be of the same CUDA as the torch that is there.

    Empty where there is a torchvision, or no torch: what pip takes of itself fits PyPI's.
    """
    _, _, build = there.get("torch", "").partition("+")
    return torchvision_for(there["torch"]) if build[:2] == "cu" and "torchvision" not in there else ""


def torchvision_for(torch: str) -> str:
    """The torchvision of a torch, as pip is told: 0.28.0 is for 2.13.0, and a build for the same CUDA."""
    major, minor, patch = (*release(torch), 0, 0, 0)[:3]
    _, _, build = torch.partition("+")
    where = f" --index-url {WHEELS}/{build}" if re.fullmatch(r"cpu|cu\d+|rocm[\d.]+", build) else ""
    return f"torchvision==0.{minor + 15}.{patch}{where}" if major == 2 else "torchvision"


def problems_of_gpus(gpus: list[dict], torch: str) -> list[str]:
    """Those that this torch has no kernels for: none of their generation, none that the driver translates."""
    problems = []
    for gpu in gpus:
        major, minor = gpu["capability"]
        known = [re.match(r"(sm|compute)_(\d+)(\d)", arch) for arch in gpu["built_for"]]
        kinds = [(arch[1], int(arch[2]), int(arch[3])) for arch in known if arch]
        runs = any((a, b) <= (major, minor) and (kind == "compute" or a == major) for kind, a, b in kinds)
        if kinds and not runs:
            older = all((a, b) > (major, minor) for _, a, b in kinds)
            mend = (
                f"try one for an older CUDA, `{pip(f'install --force-reinstall torch --index-url {CU126}')}`"
                if older
                else f"take a newer one, `{pip('install --upgrade torch')}`"
            )
            problems.append(
                f"torch {torch} has no kernels for the GPU {gpu['name']}, of compute capability "
                f"{major}.{minor}, only for {', '.join(gpu['built_for'])}: {mend}; to use the CPU meanwhile, "
                "set CUDA_VISIBLE_DEVICES=''"
            )
    return problems


def advice_on_absent(make: str) -> str:
    """How to get what is missing: by `make`, and into which environment, where this Python is not of one."""
    conda = os.environ.get("CONDA_DEFAULT_ENV", "") != "base" and os.environ.get("CONDA_PREFIX")
    active = os.environ.get("VIRTUAL_ENV") or conda
    if sys.prefix != sys.base_prefix or active:
        return f"run `{make}`, which installs what is missing"
    return (
        f"this is the system's Python. Run `{make}`, which fills the environment `.venv`, then activate that "
        "in each new shell: `. .venv/bin/activate`"
    )


def problems_of_imports(
    outcomes: dict[str, dict], there: dict[str, str], compiled: bool, peers: bool
) -> list[str]:
    """What importing everything showed; an error that only came through from beneath is said once."""
    absent, problems, said = [], [], set()
    for name, outcome in outcomes.items():
        error = outcome.get("error")
        if error is None or error in said or name == GUARDED:
            continue
        if name == "torchvision" and is_guarded(outcomes):
            continue
        if name not in OPTIONAL or outcome.get("missing") != name:  # else nothing is said
            said.add(error)
        if outcome.get("missing") != name or (name == "mmcv._ext" and compiled):
            problems.append(diagnose(name, error, outcome.get("missing"), there))
        elif owner := next(
            (each for names in FOLDERS.get(name, ()) for each in names if each in there), None
        ):
            again = pip(f"install --force-reinstall --no-deps {owner}=={there[owner]}")
            problems.append(
                f"{owner} {there[owner]} is installed and its folder {name} is gone, perhaps with another "
                f"package that owned it too: run `{again}`"
            )
        elif name not in OPTIONAL:
            absent.append(name)
    if absent:
        advice = advice_on_absent(f"make test{'-peers' if peers else ''}")
        problems.append(f"{', '.join(absent)} cannot be found: {advice}")
    return problems + problems_of_gpus(outcomes.get("GPU", {}).get("found") or [], there.get("torch", ""))
