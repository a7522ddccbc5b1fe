"""The set-up in the Makefile, with Python and pip played by a script: nothing is installed."""

import os
import re
import runpy
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

from maxvit_mm.openmmlab.task_packages import FRAMEWORKS

# Writes down what it is asked for. It fails where $FAILS says, and makes folders where venv and pip do.
PLAYER = """#!/bin/sh
echo "$@" >> "$CALLS"
[ -z "$NAMES" ] || echo "$0" >> "$NAMES"
home=$(dirname "$(dirname "$0")")
case "$*" in
    "${FAILS:-never}"*) exit 137 ;;
    *"pip list"*) echo "$THERE" ;;
    *"doctor.py --torchvision") echo "$OF_TORCH" ;;
    "-m pip install "*) mkdir -p "$home/lib/python3.11/site-packages/$(date +%N)" ;;
    "-m venv "*) for last; do :; done; rm -rf "$last"; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
    *"echo --system-site-packages"*|*importlib.metadata*) exit 1 ;;
esac
"""
INSTALL = r"-m pip install -c \S+ --only-binary :all:"
DOCTOR = "tools/doctor.py"
TASKS, ONEDL_TASKS = "segmentation,classification", "onedl-segmentation,onedl-classification"


class Clone:
    """A clone with the Makefile, and the Python `python3` in `bin`."""

    def __init__(self, folder):
        self.root = folder / "the clone"
        (self.root / "tools").mkdir(parents=True)
        for name in ("Makefile", "setup.py", "tools/pins.txt", "tools/pins-oldest.txt"):
            shutil.copy(ROOT / name, self.root / name)
        self.python = folder / "bin" / "python3"
        self.add_python(self.python)
        for version in ("3.10", "3.13"):
            self.add_python(self.python.with_name(f"python{version}"))

    def add_python(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PLAYER)
        path.chmod(0o755)

    def make(self, *words, **variables):
        """The exit status of `make`, and what Python was asked for, call by call."""
        calls = self.root.parent / "calls"
        calls.write_text("")
        # Without the variables that this run's own `make` has set.
        env = {
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "THERE": "",
            **variables,
        }
        child = subprocess.run(["make", *words], cwd=self.root, env=env, capture_output=True, text=True)
        self.said = child.stdout + child.stderr
        return child.returncode, calls.read_text().splitlines()

    def stamps(self, environment=".venv"):
        return list((self.root / environment).glob(".maxvit_mm-[0-9]*"))


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def asked(calls, pattern):
    """Where among the calls the pattern is first met; -1 where it is not."""
    return next((place for place, call in enumerate(calls) if re.match(pattern, call)), -1)


def test_the_set_up_makes_an_environment_fills_it_and_has_it_looked_over(clone):
    status, calls = clone.make("demo", "ARGS=--steps 3")
    assert status == 0, clone.said
    order = [
        "-m venv --clear --without-pip .venv$",
        "tools/doctor.py --before$",
        "tools/constraints.py ours$",
        f"{INSTALL} setuptools>=64$",
        # As a path: else a folder beside the clone imports the clone's.
        rf"{INSTALL} --no-build-isolation .*editable_mode=compat -e \.\[lite,{TASKS},test,all\]$",
        f"{DOCTOR}$",
        "tools/demo.py --steps 3$",
    ]
    places = [asked(calls, pattern) for pattern in order]
    assert -1 not in places, list(zip(order, places, strict=True))
    assert places == sorted(places)
    assert len(clone.stamps()) == 1


def test_an_environment_with_a_stamp_is_left_alone(clone):
    clone.make("test")
    status, calls = clone.make("test", "ARGS=-k partition")
    assert status == 0
    style = ["-m ruff check .", "-m ruff format --check .", "-m mypy"]
    assert calls == [*style, "-m pytest -k partition"]
    # All tests take all cores, up to a number.
    assert clone.make("test")[1] == [*style, "-m pytest -n logical --maxprocesses 8 --dist worksteal"]
    assert clone.make("demo")[1] == ["tools/demo.py"]


@pytest.mark.parametrize("fails", ["-m pip install", "tools/doctor.py --before", f"{DOCTOR}"])
def test_a_set_up_that_fails_or_is_killed_leaves_no_stamp_and_the_next_one_finishes(clone, fails):
    status, calls = clone.make("demo", FAILS=fails)
    assert status != 0
    assert "tools/demo.py" not in calls
    assert not clone.stamps()
    status, calls = clone.make("demo")
    assert status == 0
    assert asked(calls, INSTALL) >= 0
    assert asked(calls, "-m venv") == -1  # what is there is finished, not thrown away
    assert clone.stamps()


def test_a_change_of_the_pins_or_by_pip_is_looked_over(clone):
    clone.make("demo")
    for changed in ("tools/pins.txt", "setup.py", ".venv/lib/python3.11/site-packages"):
        for stamp in clone.stamps():
            os.utime(stamp)
        future = clone.stamps()[0].stat().st_mtime + 1
        os.utime(clone.root / changed, (future, future))
        assert asked(clone.make("-n", "demo")[1], "x") == -1  # Python is not asked by -n
        assert "tools/doctor.py" in clone.said, changed
        os.utime(clone.root / changed, (future - 100, future - 100))
        clone.make("-n", "demo")
        assert "tools/doctor.py" not in clone.said, changed


def test_the_stamp_of_another_clone_is_not_ours(clone):
    clone.make("demo")
    clone.root = clone.root.rename(clone.root.with_name("moved"))
    assert asked(clone.make("demo")[1], INSTALL) >= 0


def test_an_environment_whose_python_is_gone_is_made_anew(clone):
    clone.make("demo")
    python = clone.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert asked(clone.make("demo")[1], "-m venv --clear") >= 0


def test_a_python_that_is_too_old_is_refused_before_anything_is_made(clone):
    status, calls = clone.make("demo", FAILS="-c import sys; sys.version_info < (3, 10)")
    assert status != 0
    assert len(calls) == 1
    assert not (clone.root / ".venv").exists()


@pytest.mark.parametrize(
    ("variables", "used"),
    [
        ({}, ".venv"),
        ({"VIRTUAL_ENV": "theirs"}, "theirs"),
        ({"VIRTUAL_ENV": "deleted"}, ".venv"),
        ({"CONDA_PREFIX": "theirs"}, "theirs"),
        ({"CONDA_PREFIX": "theirs", "CONDA_DEFAULT_ENV": "detection"}, "theirs"),
        ({"CONDA_PREFIX": "theirs", "CONDA_DEFAULT_ENV": "base"}, ".venv"),
        ({"CONDA_PREFIX": "other", "VIRTUAL_ENV": "theirs"}, "theirs"),
    ],
)
def test_the_active_environment_is_the_one_that_is_used(clone, tmp_path, variables, used):
    for name in ("theirs", "other"):
        clone.add_python(tmp_path / name / "bin" / "python")
    places = {name: str(tmp_path / value) for name, value in variables.items()}
    places.update({k: v for k, v in variables.items() if k == "CONDA_DEFAULT_ENV"})
    status, calls = clone.make("demo", **places)
    assert status == 0, clone.said
    assert clone.stamps(tmp_path / used if used == "theirs" else used)
    assert (asked(calls, "-m venv") == -1) == (used == "theirs")
    assert (asked(calls, "tools/constraints.py ours") == -1) == (used == "theirs")


def test_an_active_venv_of_the_clone_is_ours(clone):
    clone.make("demo")
    assert clone.make("demo", VIRTUAL_ENV=str(clone.root / ".venv"))[1] == ["tools/demo.py"]


def test_mmcv_is_compiled_beside_our_torch_and_never_cached(clone):
    status, calls = clone.make("test-compiled", FAILS="-c import torch, mmcv._ext")
    assert status == 0, clone.said
    beside = asked(calls, rf"{INSTALL} setuptools>=64 torch wheel ninja psutil$")
    built = asked(calls, r"-m pip install .* --no-build-isolation --no-binary mmcv --no-cache-dir mmcv$")
    assert 0 <= beside < built - 2
    assert calls[built - 2 : built] == [
        "-m pip uninstall -y mmcv",
        "tools/quick_flags.py .venv-compiled/headers",
    ]
    assert asked(calls, rf"{INSTALL} .*-e \.\[compiled,{TASKS},test\]$") > built
    assert asked(calls, "tools/doctor.py --compiled$") > built
    clone.make("-n", "test-compiled", "-W", "setup.py")
    assert "MMCV_WITH_OPS=1" in clone.said


def test_ops_that_load_are_not_compiled_again(clone):
    calls = clone.make("test-compiled")[1]
    assert asked(calls, ".*--no-binary mmcv") == -1


OF_TORCH = "torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cu126"


def test_a_torch_for_cuda_gets_the_torchvision_that_belongs_to_it(clone):
    status, calls = clone.make("demo", OF_TORCH=OF_TORCH)
    assert status == 0, clone.said
    first = asked(calls, f"{INSTALL} --no-deps {re.escape(OF_TORCH)}$")
    assert asked(calls, f"{DOCTOR} --before$") < first < asked(calls, f"{INSTALL} .* -e")
    assert asked(Clone(clone.root.parent / "other").make("demo")[1], ".*torchvision==") == -1


def test_a_set_up_goes_on_without_that_torchvision_and_says_so(clone):
    install = "-m pip install -c .venv/.maxvit_mm-constraints.txt --only-binary :all: --no-deps torchvision"
    status, calls = clone.make("demo", OF_TORCH=OF_TORCH, FAILS=install)
    assert status == 0, clone.said
    assert f"note: {OF_TORCH} was not to be had" in clone.said
    assert asked(calls, f"{INSTALL} .* -e") >= 0


# --- versions ---


def test_an_environment_for_other_versions_is_held_to_them_and_shares_no_torch(clone):
    for target, versions in (("test-compiled", "oldest"), ("test-peers", "newest")):
        calls = clone.make(target)[1]
        assert asked(calls, rf"tools/constraints\.py ours tools/pins-{versions}\.txt$") >= 0
        assert asked(calls, ".*importlib.metadata") == -1


def test_what_depends_on_versions_is_tested_in_each_environment(clone):
    rooms = {"tests/network", "tests/fast", "tests/weights", "tests/openmmlab"}
    for target, own in (("test-compiled", "tests/compiled"), ("test-peers", "tests/peers")):
        (tested,) = [call.split() for call in clone.make(target)[1] if call.startswith("-m pytest")]
        assert rooms | {own} <= set(tested)
        assert all((ROOT / word).exists() for word in tested if word.startswith("tests/"))


def made_by(clone, target="test-compiled", *words, **variables):
    """The Python that makes an environment, and what is said."""
    names = clone.root.parent / "names"
    names.write_text("")
    status, calls = clone.make(target, *words, NAMES=str(names), **variables)
    assert status == 0, clone.said
    return names.read_text().splitlines()[asked(calls, "-m venv")], clone.said


@pytest.mark.parametrize(("environment", "version"), [("compiled", "3.10"), ("onedl", "3.13")])
class TestAPythonOfItsOwn:
    def test_is_taken_unless_another_is_named(self, clone, environment, version):
        own = clone.python.with_name(f"python{version}")
        assert made_by(clone, f"test-{environment}") == (str(own), clone.said)
        shutil.rmtree(clone.root / f".venv-{environment}")
        assert made_by(clone, f"test-{environment}", "PYTHON=python3")[0] == str(clone.python)

    def test_is_found_in_pyenv_where_the_path_has_none_that_starts(
        self, clone, environment, version, tmp_path
    ):
        """A shim of pyenv is on the PATH, and ends with an error where the version is not chosen."""
        clone.python.with_name(f"python{version}").write_text("#!/bin/sh\nexit 127\n")
        python = tmp_path / f"pyenv/versions/{version}.1/bin/python"
        clone.add_python(python)
        made = made_by(clone, f"test-{environment}", PYENV_ROOT=str(tmp_path / "pyenv"))[0]
        assert made == str(python)

    def test_is_replaced_by_the_default_one_where_there_is_none(self, clone, environment, version, tmp_path):
        clone.python.with_name(f"python{version}").write_text("#!/bin/sh\nexit 127\n")
        assert made_by(clone, f"test-{environment}", PYENV_ROOT=str(tmp_path))[0] == str(clone.python)


ONEDL_MMCV = r"-m pip install -c \S+ --no-deps --no-binary onedl-mmcv --no-cache-dir onedl-mmcv$"
SOURCES = ["onedl-mmdetection", "onedl-mmsegmentation", "onedl-mmpretrain"]
ONEDL_REST = f"{INSTALL} {' '.join(f'--no-binary {name}' for name in SOURCES)} {' '.join(SOURCES)}$"


def test_the_fork_is_built_apart_from_our_torch_and_its_mmcv_is_never_cached(clone):
    status, calls = clone.make("test-onedl", "ARGS=-x")
    assert status == 0, clone.said
    order = [ONEDL_MMCV, ONEDL_REST, rf"{INSTALL} --no-build-isolation .*-e \.\[onedl,{ONEDL_TASKS},test\]$"]
    places = [asked(calls, pattern) for pattern in [*order, f"{DOCTOR}$", "-m pytest tests/data .*-x$"]]
    assert -1 not in places
    assert places == sorted(places)
    assert clone.stamps(".venv-onedl")


@pytest.mark.parametrize(
    ("there", "extras"),
    [
        ("numpy==2.0.0", f"lite,{TASKS}"),
        ("mmcv-lite==2.1.0", f"lite,{TASKS}"),
        ("addict==2\nmmcv==2.0.1", f"compiled,{TASKS}"),
        ("onedl-mmcv==2.3.6\nonedl-mmengine==0.10.12", f"onedl,{ONEDL_TASKS}"),
        ("onedl-mmengine==0.10.12", f"onedl,{ONEDL_TASKS}"),
    ],
)
def test_the_openmmlab_that_an_environment_has_is_not_written_over(clone, there, extras):
    status, calls = clone.make("demo", THERE=there)
    assert status == 0, clone.said
    assert asked(calls, rf"{INSTALL} --no-build-isolation .*-e \.\[{extras},test,all\]$") >= 0
    assert (asked(calls, ONEDL_MMCV) >= 0) == ("onedl" in extras)


def test_an_opencv_that_cannot_start_is_written_over_even_where_its_twin_is_there(clone):
    clone.make("-n", "demo")
    assert "xargs -r .venv/bin/python -m pip install --force-reinstall --no-deps" in clone.said


def test_the_peers_have_an_environment_of_their_own_even_beside_an_active_one(clone, tmp_path):
    clone.add_python(tmp_path / "theirs" / "bin" / "python")
    status, calls = clone.make("benchmark", VIRTUAL_ENV=str(tmp_path / "theirs"))
    assert status == 0, clone.said
    assert asked(calls, rf"{INSTALL} .*-e \.\[lite,{TASKS},test,peers\]$") >= 0
    assert asked(calls, "tools/doctor.py --peers$") >= 0
    assert clone.stamps(".venv-peers")


# --- constraints ---


def constraints(tmp_path, *arguments, **packages):
    """The lines of tools/constraints.py beside these packages, less all but a few pins."""
    tmp_path.mkdir(exist_ok=True)
    for name, version in packages.items():
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (tmp_path / "pins.txt").write_text(
        '# why\ntorch==2.13.0\nnumpy==2.2.6; python_version < "3.11"\neinops==1\ntorchvision==0.28.0\n'
    )
    shutil.copy(ROOT / "tools/constraints.py", tmp_path)
    command = [sys.executable, "-S", tmp_path / "constraints.py", *arguments]
    said = subprocess.run(
        command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    ).stdout
    return [line for line in said.splitlines() if line[0] != "#"]


PINS = ["torch==2.13.0", 'numpy==2.2.6; python_version < "3.11"', "einops==1", "torchvision==0.28.0"]


def test_our_environment_is_held_to_every_pin(tmp_path):
    assert constraints(tmp_path / "a", "ours") == PINS
    assert constraints(tmp_path / "b", "ours", numpy="1.26.4") == PINS
    built = constraints(tmp_path / "c", "ours", torch="2.13.0+cpu", numpy="1.26.4")
    assert built == ["torch==2.13.0+cpu", *PINS[1:]]


@pytest.mark.parametrize("arguments", [[], ["ours"]])
def test_a_torch_of_the_users_choice_stays_to_the_letter_and_so_does_what_is_beside_it(tmp_path, arguments):
    held = constraints(tmp_path, *arguments, torch="2.6.0+cpu", numpy="1.26.4")
    assert held == ["torch==2.6.0+cpu", "einops==1"]  # pip finds out which torchvision is for it


OTHER = ["sympy==1", "torch==2.6.0"]


@pytest.mark.parametrize(
    ("there", "held"),
    [
        ({}, OTHER),
        ({"torch": "2.6.0+cpu", "numpy": "1.26.4"}, ["torch==2.6.0+cpu", "sympy==1"]),
        ({"torch": "2.13.0", "sympy": "1.2"}, OTHER),  # what was there before takes the listed version
    ],
)
def test_an_environment_for_other_versions_is_held_to_those(tmp_path, there, held):
    (tmp_path / "other.txt").write_text("# why\n" + "\n".join(OTHER))
    found = constraints(tmp_path / "a", "ours", tmp_path / "other.txt", **there)
    assert sorted(found) == sorted([*held, *PINS[1:]])


def test_what_an_active_environment_has_stays_and_what_it_lacks_is_pinned(tmp_path):
    assert constraints(tmp_path, numpy="1.26.4") == [PINS[0], *PINS[2:]]


def test_every_requirement_is_pinned():
    required, extras = requirements()
    wanted = {name_of(line) for lines in [required, *extras.values()] for line in lines}
    pinned = set(re.findall(r"^([a-z0-9-]+)==\S+", (ROOT / "tools" / "pins.txt").read_text(), re.MULTILINE))
    assert {"torch", "mmdet", "mmcv-lite", "onedl-mmcv", "mmpretrain", "pytest", "onnxruntime"} <= wanted
    assert wanted <= pinned


# --- what the package requires ---


def requirements():
    """What setup.py requires, and its extras."""
    with pytest.MonkeyPatch.context() as patch:
        given = {}
        patch.setattr("setuptools.setup", lambda **options: given.update(options))
        runpy.run_path(str(ROOT / "setup.py"))
    return given["install_requires"], given["extras_require"]


def name_of(requirement):
    return re.match(r"[a-z0-9-]+", requirement)[0]


UPSTREAM = {"lite", "compiled", "segmentation", "classification"}
ONEDL = {"onedl", "onedl-segmentation", "onedl-classification"}


def test_a_family_of_openmmlab_is_an_extra_and_none_pulls_another():
    required, extras = requirements()
    names = {extra: {name_of(line) for line in lines} for extra, lines in extras.items()}
    assert names["lite"] == {"mmengine", "mmcv-lite", "mmdet", "setuptools"}
    assert names["compiled"] == {"mmengine", "mmcv", "mmdet", "setuptools"}
    assert names["onedl"] == {"onedl-mmengine", "onedl-mmcv", "onedl-mmdetection"}
    of_onedl = set().union(*(names[extra] for extra in ONEDL))
    assert all(name.startswith("onedl-") for name in of_onedl - {"torchvision"})
    assert not any(name.startswith("onedl-") for extra in UPSTREAM for name in names[extra])
    everybodys = {name_of(line) for line in required}
    everybodys |= set().union(*(names[extra] for extra in names.keys() - UPSTREAM - ONEDL))
    assert {"torch", "einops", "safetensors"} <= everybodys
    assert not [name for name in everybodys if re.match(r"(onedl-)?mm|setuptools", name)]


@pytest.mark.parametrize(("folder", "task"), [("mmseg", "segmentation"), ("mmpretrain", "classification")])
def test_the_extra_of_a_task_is_what_the_sentence_names_where_it_is_missing(folder, task):
    framework, extras = FRAMEWORKS[folder], requirements()[1]
    assert extras[task] == [framework.of_openmmlab, *framework.besides]
    assert extras[f"onedl-{task}"][0] == framework.of_onedl.replace("==", "~=")
    pins = (ROOT / "tools/pins.txt").read_text().splitlines()
    assert {framework.of_openmmlab, framework.of_onedl} <= set(pins)


@pytest.mark.parametrize("version", ["2.0.0rc4", "2.0.1", "2.1.0"])
def test_the_mmcv_of_an_environment_stays_where_mmdet_takes_it(version):
    (mmcv,) = (line for line in requirements()[1]["compiled"] if name_of(line) == "mmcv")
    assert Requirement(mmcv).specifier.contains(version, prereleases=True)
    assert not Requirement(mmcv).specifier.contains("2.2.0")
