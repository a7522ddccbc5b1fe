"""Make sure there is an environment, then run a Python command in it.

    python3 tools/environment.py [--compiled | --peers] [--test] -- tools/demo.py ARGS...

The environment is the active one (venv or conda), else `.venv` in the clone. `--compiled` always
means `.venv-compiled`, where mmcv is built from source, `--peers` always `.venv-peers`, which has
other implementations of MaxViT beside ours. pip fills it, held to `tools/pins.txt`,
every package is imported, and only then is a stamp written. A run that finds the stamp valid
changes nothing; any other run mends, so a run may be killed at any moment.

Standard library only. Python 3.8 must be able to read this file, to say that 3.8 is too old.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from complaints import (
    NEEDED_GB,
    OLDEST_TORCH,
    BrokenError,
    SetupError,
    check_compiler,
    check_python,
    diagnose,
    dotted,
    release,
)

try:
    import fcntl
except ImportError:  # not POSIX: there, two set-ups at once are for the user to avoid
    fcntl = None

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "tools" / "pins.txt"
BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)  # still there once `.venv` is not

PROGRESS_EVERY = 30  # seconds

EDITABLE_AS_PATH = ["--config-settings", "editable_mode=compat"]
BUILD_TOOLS = ["setuptools>=64,<81"]  # pyproject.toml's, here so that pip needs no second copy
COMPILE_TOOLS = ["wheel", "ninja", "psutil"]

# cv2 comes first: a system library that it lacks is then not mistaken for one of torch.
MODULES = ["cv2", "torch", "mmengine", "mmcv", "mmdet", "einops", "safetensors"]
PROOF = f"""
import {", ".join(MODULES)}
"""
PROOF_OF_TORCHVISION = """
import importlib.util
if importlib.util.find_spec("torchvision"):  # MMEngine's report on the system does
    import torchvision
"""
PROOF_OF_PEERS = """
import safetensors, tensorflow
"""
PROOF_OF_OPS = """
import torch
import mmcv._ext
from mmcv.ops import nms
boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0]])
assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5)[1].tolist() == [0]
"""
PROBE = f"""
import json, sys
from importlib.metadata import distributions
from importlib.util import find_spec
found = [(d.metadata["Name"], d.version) for d in distributions()]
print(json.dumps(dict(
    python=sys.version_info[:3],
    missing=[name for name in {["pip", "maxvit_mm", *MODULES]} if find_spec(name) is None],
    packages={{n.lower().replace("_", "-"): v for n, v in reversed(found) if n}},
)))
"""

# Where pip is: the compiler's count of files, else what pip says itself.
STEP = r"\[\d+/\d+\]|(?:Downloading|Building|Installing) .+"


def say(sentence: str) -> None:
    print(f"environment: {sentence}", flush=True)


def shown(path: Path) -> str:
    """A path as the user would type it in the clone."""
    return str(path.relative_to(ROOT) if ROOT in path.parents else path)


def run(command: list, folder: Path | None = None) -> tuple[int, str]:
    """Exit status and output of a short command."""
    child = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return child.returncode, child.stdout


def probe(python: Path) -> dict | None:
    """Version, packages and missing modules of a Python; None where it does not run."""
    try:
        # Not in the clone, where its egg-info would pass for an installed package.
        status, output = run([python, "-c", PROBE], folder=python.parent)
    except OSError:
        return None
    facts = [line for line in output.splitlines() if line.startswith("{")]  # among what packages warn of
    return json.loads(facts[-1]) if status == 0 and facts else None


@contextmanager
def locked(folder: Path):
    """Hold `folder` against another set-up.

    Yields the descriptor of the lock. A child that inherits it holds the lock too, so a pip that
    outlives its killed parent is waited for.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if fcntl:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another set-up in {folder}")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                pass  # some network disks cannot lock a folder
        yield descriptor
    finally:
        os.close(descriptor)


class Environment:
    """A folder with a Python, and the way from any state of it to a proved one."""

    def __init__(self, prefix: Path, compiled: bool = False, peers: bool = False, test: bool = False) -> None:
        self.prefix = prefix
        self.python = prefix / "bin" / "python"
        self.compiled = compiled
        self.peers = peers
        self.wanted = {name for name, wanted in (("test", test), ("peers", peers)) if wanted}
        self.ours = prefix.parent == ROOT and prefix.name.startswith(".venv")
        self.stamp = prefix / "maxvit_mm.json"
        self.log = prefix / "maxvit_mm.log"

    def ensure(self) -> None:
        """Leave a proved environment behind, or raise the sentence that says what to do."""
        with locked(ROOT if self.ours else self.prefix) as self.lock:
            facts = probe(self.python)
            if facts and self.is_proved(facts):
                return
            start = time.monotonic()
            if self.stamp.exists():
                self.stamp.unlink()  # before anything changes
            fresh = self.ours and (facts is None or "pip" in facts["missing"])
            if fresh:
                if self.compiled:
                    check_compiler(sys.version_info)  # before there is anything to remove
                self.create()
            try:
                self.fill()
            except BrokenError:
                if fresh or not self.ours:
                    raise
                say(f"{shown(self.prefix)} is beyond mending")
                self.create()
                self.fill()
            say(f"ready after {time.monotonic() - start:.0f} s")

    def is_proved(self, facts: dict) -> bool:
        """Whether the stamp vouches for this state and for the wanted extras."""
        try:
            stamp = json.loads(self.stamp.read_text())
            return stamp["seal"] == self.seal(facts) and self.wanted <= set(stamp["extras"])
        except (OSError, ValueError, KeyError):
            return False

    def seal(self, facts: dict) -> str:
        """A hash of what a proof is about: pins, clone, Python and the version of every package."""
        state = json.dumps([str(ROOT), self.compiled, facts], sort_keys=True)
        files = PINS.read_bytes() + (ROOT / "setup.py").read_bytes()
        return hashlib.sha256(files + state.encode()).hexdigest()

    def create(self) -> None:
        """Make the folder anew; a usable torch of the base Python shows through."""
        version = dotted(sys.version_info)
        base = probe(Path(BASE_PYTHON))
        torch = base and base["packages"].get("torch")
        shared = torch and release(torch) >= OLDEST_TORCH
        beside = f" and the torch {torch} it has" if shared else ""
        say(f"making {shown(self.prefix)} with Python {version}{beside}")
        shutil.rmtree(self.prefix, ignore_errors=True)
        options = ["--system-site-packages"] if shared else []
        pipless = importlib.util.find_spec("ensurepip") is None  # Debian without python3-venv
        if pipless:
            options.append("--without-pip")
        status, output = run([BASE_PYTHON, "-m", "venv", *options, self.prefix])
        if pipless and status == 0:
            lend = [BASE_PYTHON, "-m", "pip", "--python", self.python, "install", "pip"]
            status, output = run(lend)
        if status:
            raise SetupError(
                diagnose(output, self.python)
                or f"Python {version} cannot make a virtual environment: install its venv module "
                "(Debian, Ubuntu: `apt install python3-venv`)"
            )

    def fill(self) -> None:
        """Install what is missing, prove that all of it works, and stamp that."""
        facts = probe(self.python)
        if facts is None:
            raise BrokenError(f"{self.python} does not run: leave this environment (`deactivate`)")
        self.refuse(facts)
        packages = facts["packages"]
        lite = not self.compiled and "mmcv" not in packages
        extras = sorted(self.wanted | ({"lite"} if lite else set()))
        torch = f"beside torch {packages['torch']}" if "torch" in packages else "with torch"
        say(f"installing mmdet {torch} into {shown(self.prefix)} (a minute, or several)")

        self.log.write_text("")
        pins = self.prefix / "maxvit_mm.constraints.txt"
        pins.write_text("\n".join(self.constraints(packages)))
        prebuilt = ["-c", str(pins), "--only-binary", ":all:"]
        self.pip("install", *prebuilt, *BUILD_TOOLS, *(COMPILE_TOOLS if self.compiled else []))
        clone = str(ROOT) + (f"[{','.join(extras)}]" if extras else "")
        # As a path: an import hook would be asked too late beside a folder named as the package, the clone.
        self.pip("install", *prebuilt, "--no-build-isolation", *EDITABLE_AS_PATH, "-e", clone)
        if self.compiled and self.trial(PROOF_OF_OPS):
            say("compiling mmcv (about ten minutes on two cores)")
            self.pip("uninstall", "-y", "mmcv")
            # The build must see our torch, and a cached wheel may be for another one.
            source = ["--no-build-isolation", "--no-binary", "mmcv", "--no-cache-dir"]
            self.pip("install", "-c", str(pins), *source, "mmcv", MMCV_WITH_OPS="1")
        self.prove()

        draft = self.stamp.with_suffix(".draft")
        draft.write_text(json.dumps({"extras": extras, "seal": self.seal(probe(self.python))}))
        draft.replace(self.stamp)  # there is no moment with half a stamp

    def refuse(self, facts: dict) -> None:
        """Raise what installing cannot mend."""
        python, packages = facts["python"], facts["packages"]
        torch, mmcv = packages.get("torch"), packages.get("mmcv")
        check_python(python)
        if "pip" in facts["missing"]:
            raise SetupError(f"{self.prefix} has no pip: run `{self.python} -m ensurepip`")
        if torch and release(torch) < OLDEST_TORCH:
            raise SetupError(
                f"torch {torch} in {self.prefix} cannot load checkpoints safely: "
                f"install {dotted(OLDEST_TORCH)} or newer, or leave this environment (`deactivate`)"
            )
        if "mmcv-lite" in packages and (mmcv or self.compiled):
            raise SetupError(
                f"mmcv and mmcv-lite own the same folder, so {self.prefix} can have only one: "
                f"run `{self.python} -m pip uninstall -y mmcv mmcv-lite`"
            )
        if mmcv and not (2, 0, 0) <= release(mmcv) < (2, 2):
            raise SetupError(
                f"mmdet 3.3.0 refuses mmcv {mmcv}: install mmcv 2.1.0, or, for the prebuilt "
                f"mmcv-lite, run `{self.python} -m pip uninstall -y mmcv`"
            )
        if self.compiled and not mmcv:
            check_compiler(python)
        free = shutil.disk_usage(self.prefix).free / 1e9
        if not torch and free < NEEDED_GB:
            raise SetupError(
                f"the disk of {self.prefix} has {free:.1f} GB left and {NEEDED_GB} GB are needed: free some"
            )

    def constraints(self, packages: dict) -> list[str]:
        """The pins, less those that would change what the user chose.

        An installed torch stays what it is. Where the environment or that torch is the user's,
        whatever else is installed stays too, as long as our requirements allow it.
        """
        pins = [pin for pin in PINS.read_text().splitlines() if not pin.startswith("#")]
        torch = packages.get("torch")
        if torch is None and self.ours:
            return pins
        settings = self.prefix / "pyvenv.cfg"
        shared = settings.exists() and "packages = true" in settings.read_text()
        chosen = self.ours and not shared and f"torch=={torch.split('+')[0]}" in pins
        kept = {"torch"} if chosen else set(packages)
        held = [f"torch=={torch}"] if torch else []
        return held + [pin for pin in pins if pin.split("==")[0] not in kept]

    def pip(self, *arguments: str, **variables: str) -> None:
        """Run pip with its output in the log and, now and then, a line of progress."""
        start, seen = time.monotonic(), self.log.stat().st_size
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [str(self.python), "-m", "pip", "--verbose", *arguments],
                cwd=ROOT,
                env={**os.environ, "PATH": self.path(), **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self.lock],
            )
            while True:
                try:
                    status = child.wait(PROGRESS_EVERY)
                    break
                except subprocess.TimeoutExpired:
                    steps = re.findall(STEP, self.text(seen))
                    say(f"{time.monotonic() - start:.0f} s {' '.join(steps[-1:])[:60]}")
        if status:
            self.fail(self.text(seen), f"`pip {arguments[0]}` failed")

    def path(self) -> str:
        """PATH as in the activated environment: its `python`, and its `ninja` for the compiler."""
        return f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def text(self, start: int) -> str:
        """The log from byte `start` on."""
        return self.log.read_bytes()[start:].decode(errors="replace")

    def trial(self, program: str) -> str:
        """What a program prints where it fails, nothing where it succeeds."""
        status, output = run([self.python, "-c", program], folder=self.prefix)
        with self.log.open("a") as log:
            log.write(output)
        return f"{output}\nexit status {status}" if status else ""

    def prove(self) -> None:
        """Import everything, and run an op where ops were compiled."""
        # Peers bring a torchvision for the CUDA build of torch, whose models work beside any.
        program = PROOF + (PROOF_OF_PEERS if self.peers else PROOF_OF_TORCHVISION)
        program += PROOF_OF_OPS if self.compiled else ""
        trouble = self.trial(program)
        if "cv2" in trouble and "cannot open shared object file" in trouble:
            say("this machine lacks desktop libraries: taking opencv-python-headless instead")
            version = probe(self.python)["packages"]["opencv-python"]
            self.pip("uninstall", "-y", "opencv-python", "opencv-python-headless")
            self.pip("install", "--no-deps", f"opencv-python-headless=={version}")
            trouble = self.trial(program)
        if trouble:
            self.fail(trouble, "the installed packages do not work together")

    def fail(self, output: str, event: str) -> None:
        """Show the lines that decide, then raise their sentence."""
        errors = re.findall(r"^\s*(?:\w*error|fatal)\b.*", output, re.IGNORECASE | re.MULTILINE)
        print("\n".join(f"    {line.strip()}" for line in errors[-4:]), flush=True)
        sentence = diagnose(output, self.python)
        if sentence:
            raise SetupError(sentence)
        cure = "make clean" if self.ours else "deactivate"
        raise BrokenError(f"{event}: see {shown(self.log)}, or start afresh (`{cure}`)")


def active() -> Path | None:
    """The virtual or conda environment that the user has activated; conda's base is none."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix)
    variables = ["VIRTUAL_ENV"]
    if os.environ.get("CONDA_DEFAULT_ENV", "base") != "base":
        variables.append("CONDA_PREFIX")
    for prefix in filter(None, map(os.environ.get, variables)):
        if Path(prefix, "bin", "python").exists():
            return Path(prefix)
    return None


def main(arguments: list[str]) -> int:
    """Set up, then become the command; the exit status where there is none or the set-up fails."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    flags, command = arguments[:cut], arguments[cut + 1 :]
    if set(flags) - {"--compiled", "--peers", "--test"} or {"--compiled", "--peers"} <= set(flags):
        print(__doc__)
        return 2
    compiled, peers = "--compiled" in flags, "--peers" in flags
    if compiled or peers:
        prefix = ROOT / (".venv-compiled" if compiled else ".venv-peers")
    else:
        prefix = active() or ROOT / ".venv"
    environment = Environment(prefix, compiled, peers, test="--test" in flags)
    try:
        check_python(sys.version_info)
        environment.ensure()
    except (SetupError, OSError) as error:
        sentence = diagnose(str(error), environment.python) or error
        print(f"environment: {sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("environment: interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    if command:
        os.environ["PATH"] = environment.path()
        os.execv(environment.python, [str(environment.python), *command])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
