"""tools/environment.py, with pip and the interpreters played by the tests: nothing is installed."""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from conftest import ROOT

SCRIPT = ROOT / "tools" / "environment.py"
sys.path.insert(0, str(SCRIPT.parent))  # as for a script that is run
import complaints  # noqa: E402

spec = importlib.util.spec_from_file_location("environment", SCRIPT)
environment = importlib.util.module_from_spec(spec)
spec.loader.exec_module(environment)

PINS = "# comment\ntorch==2.13.0\nnumpy==2.2.6; python_version < '3.11'\nmmdet==3.3.0\n"
BARE = {"python": [3, 11, 7], "missing": [], "packages": {"pip": "23.2"}}


def holding(**packages: str) -> dict:
    """Facts about an environment with these packages: `mmcv_lite="2.1.0"` is mmcv-lite."""
    return {**BARE, "packages": {name.replace("_", "-"): v for name, v in packages.items()}}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone of the repository in which `clone.facts` is what any Python says about itself."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "pins.txt").write_text(PINS)
    (tmp_path / "setup.py").write_text("")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "PINS", tmp_path / "tools" / "pins.txt")

    class Clone:
        root = tmp_path
        facts = BARE

        def environment(self, name=".venv", **flags):
            made = environment.Environment(tmp_path / name, **flags)
            made.prefix.mkdir(parents=True, exist_ok=True)
            return made

    made = Clone()
    monkeypatch.setattr(environment, "probe", lambda python: made.facts)
    return made


@pytest.fixture
def pip_calls(monkeypatch):
    """What pip was asked for, in order, in place of running it."""
    calls = []

    def record(self, *arguments, **variables):
        calls.append(" ".join([*(f"{k}={v}" for k, v in variables.items()), *arguments]))

    monkeypatch.setattr(environment.Environment, "pip", record)
    return calls


# --- refusals -----------------------------------------------------------------------------------


def test_python_3_8_can_read_the_script_that_refuses_it():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))


def test_an_old_python_is_refused_before_anything_else(clone, monkeypatch, capsys):
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 18))
    assert environment.main(["--", "tools/demo.py"]) == 1
    assert "Python 3.9 is too old" in (said := capsys.readouterr().err)
    assert "make demo PYTHON=python3.11" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({**BARE, "python": [3, 8, 18]}, "Python 3.8 is too old"),
        ({**BARE, "missing": ["pip"]}, "-m ensurepip"),
        (holding(torch="2.5.1"), "torch 2.5.1 in .* install 2.6 or newer"),
        (holding(mmcv="2.1.0", mmcv_lite="2.1.0"), "pip uninstall -y mmcv mmcv-lite"),
        (holding(mmcv="2.2.0"), "mmdet 3.3.0 refuses mmcv 2.2.0: install mmcv 2.1.0"),
        (holding(mmcv="1.7.2"), "mmdet 3.3.0 refuses mmcv 1.7.2"),
    ],
)
def test_what_installing_cannot_mend_is_refused(clone, facts, sentence):
    with pytest.raises(environment.SetupError, match=sentence):
        clone.environment().refuse(facts)


@pytest.mark.parametrize("mmcv", ["2.0.0rc4", "2.0.1", "2.1.0"])
def test_every_mmcv_that_mmdet_takes_is_taken(clone, mmcv):
    clone.environment().refuse(holding(mmcv=mmcv, torch="2.6.0"))


def test_a_full_disk_is_noticed_before_anything_is_fetched(clone, monkeypatch):
    usage = environment.shutil.disk_usage(clone.root)._replace(free=400_000_000)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(environment.SetupError, match=r"0\.4 GB left and 2\.5 GB are needed"):
        clone.environment().refuse(BARE)
    clone.environment().refuse(holding(torch="2.13.0"))  # the big part is there already


def test_compiling_is_refused_without_a_compiler_and_for_a_python_too_new(monkeypatch):
    monkeypatch.setattr(environment.shutil, "which", {"clang++": "found"}.get)
    environment.check_compiler((3, 12, 1))
    with pytest.raises(environment.SetupError, match=r"cannot be compiled for Python 3\.13"):
        environment.check_compiler((3, 13, 0))
    monkeypatch.setattr(environment.shutil, "which", {}.get)
    with pytest.raises(environment.SetupError, match=r"apt install g\+\+"):
        environment.check_compiler((3, 12, 1))


NO_NETWORK = "WARNING: Retrying after connection broken by NewConnectionError: {}\n" + (
    "ERROR: No matching distribution found for torch"
)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("PermissionError: [Errno 13] Permission denied: 'x'", "not yours to write"),
        (NO_NETWORK.format("Temporary failure in name resolution"), "cannot reach"),
        (NO_NETWORK.format("[Errno 111] Connection refused"), "cannot reach"),
        (NO_NETWORK.format("[Errno 101] Network is unreachable"), "cannot reach"),
        ("ReadTimeoutError: Read timed out.", "cannot reach"),
        ("ERROR: No matching distribution found for torch>=2.6", "no prebuilt torch for this"),
        ("ERROR: No matching distribution found for scipy", "no prebuilt scipy for this"),
        ("ERROR: ResolutionImpossible: for help visit", "do not fit together"),
        ("RuntimeError: operator torchvision::nms does not exist", "PY -m pip uninstall torchv"),
        ("OSError: CUDA_HOME environment variable is not set.", "install the CUDA toolkit"),
        ("Segmentation fault", None),
    ],
)
def test_a_known_output_earns_its_sentence(output, sentence):
    found = environment.diagnose(output, "PY")
    assert found is None if sentence is None else sentence in found


def test_every_sentence_is_one_sentence():
    for _, sentence in complaints.DIAGNOSES:
        assert ": " in sentence  # what is wrong: what to do
        assert not re.search(r"\.( |$)|\n", sentence)


# --- the stamp ----------------------------------------------------------------------------------


def stamped(clone, extras=("lite",)):
    made = clone.environment()
    made.stamp.write_text(json.dumps({"extras": extras, "seal": made.seal(clone.facts)}))
    assert made.is_proved(clone.facts)
    return made


def test_a_proved_environment_is_left_alone(clone, pip_calls):
    stamped(clone).ensure()
    assert pip_calls == []


def test_any_change_of_what_was_proved_voids_the_stamp(clone):
    made = stamped(clone)
    assert not made.is_proved(holding(pip="23.2", torch="2.13.0"))
    assert not made.is_proved({**BARE, "missing": ["mmdet"]})
    assert not made.is_proved({**BARE, "python": [3, 12, 1]})
    (clone.root / "tools" / "pins.txt").write_text("torch==2.14.0\n")
    assert not made.is_proved(BARE)


def test_a_stamp_of_another_clone_is_not_ours(clone, monkeypatch):
    made = stamped(clone)
    monkeypatch.setattr(environment, "ROOT", clone.root / "elsewhere")
    assert not made.is_proved(BARE)


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_half_a_stamp_is_none(clone, text):
    made = stamped(clone)
    made.stamp.write_text(text)
    assert not made.is_proved(BARE)


def test_test_tools_may_be_there_unasked_but_not_missing(clone):
    stamped(clone, extras=["lite"])
    assert not clone.environment(test=True).is_proved(BARE)
    stamped(clone, extras=["lite", "test"])
    assert clone.environment().is_proved(BARE)


def test_a_run_killed_while_installing_leaves_no_stamp(clone, monkeypatch):
    made = stamped(clone)
    clone.facts = holding(pip="24.0")

    def killed(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment.Environment, "fill", killed)
    with pytest.raises(KeyboardInterrupt):
        made.ensure()
    assert not made.stamp.exists()


def test_only_our_own_environment_is_made_anew_and_only_once(clone, monkeypatch):
    made = []

    def broken(self):
        raise environment.BrokenError("broken")

    monkeypatch.setattr(environment.Environment, "fill", broken)
    monkeypatch.setattr(environment.Environment, "create", lambda self: made.append(self.prefix))
    for name in (".venv", "home/theirs"):
        with pytest.raises(environment.BrokenError):
            clone.environment(name).ensure()
    assert made == [clone.root / ".venv"]


# --- what pip is asked for ----------------------------------------------------------------------


def test_pip_takes_prebuilt_packages_and_the_names_in_setup_py(clone, pip_calls, monkeypatch):
    monkeypatch.setattr(environment.Environment, "trial", lambda self, program: "")
    clone.environment(test=True).fill()
    tools, ours = pip_calls
    as_path = "--config-settings editable_mode=compat"  # else a folder beside the clone imports the clone's
    assert tools.endswith("--only-binary :all: setuptools>=64,<81")
    assert ours.endswith(f"--only-binary :all: --no-build-isolation {as_path} -e {clone.root}[lite,test]")
    assert clone.environment(test=True).is_proved(BARE)


def test_mmcv_lite_is_not_put_over_a_compiled_mmcv(clone, pip_calls, monkeypatch):
    clone.facts = holding(torch="2.13.0", mmcv="2.1.0")
    monkeypatch.setattr(environment.Environment, "trial", lambda self, program: "")
    clone.environment().fill()
    assert pip_calls[1].endswith(f"-e {clone.root}")


def test_mmcv_is_compiled_beside_our_torch_and_never_cached(clone, pip_calls, monkeypatch):
    troubles = iter(["No module named 'mmcv._ext'", ""])
    monkeypatch.setattr(environment.Environment, "trial", lambda self, program: next(troubles))
    monkeypatch.setattr(environment, "check_compiler", lambda version: None)
    clone.environment(".venv-compiled", compiled=True).fill()
    assert pip_calls[0].endswith("wheel ninja psutil")
    assert pip_calls[2] == "uninstall -y mmcv"
    assert pip_calls[3].startswith("MMCV_WITH_OPS=1 install")
    assert pip_calls[3].endswith("--no-build-isolation --no-binary mmcv --no-cache-dir mmcv")


def test_ops_that_load_are_not_compiled_again(clone, pip_calls, monkeypatch):
    clone.facts = holding(torch="2.13.0", mmcv="2.1.0")
    monkeypatch.setattr(environment.Environment, "trial", lambda self, program: "")
    clone.environment(".venv-compiled", compiled=True).fill()
    assert not any("mmcv" in call.split() for call in pip_calls)


def test_our_environment_is_held_to_every_pin(clone):
    pins = PINS.splitlines()[1:]
    assert clone.environment().constraints({"pip": "23.2"}) == pins
    ours = clone.environment().constraints({"torch": "2.13.0+cpu", "numpy": "1.26.4"})
    assert ours == ["torch==2.13.0+cpu", *pins[1:]]


def test_a_torch_of_the_user_stays_and_so_does_what_is_beside_it(clone):
    theirs = {"torch": "2.7.1+cu128", "numpy": "1.26.4"}
    kept = ["torch==2.7.1+cu128", "mmdet==3.3.0"]
    assert clone.environment("home/theirs").constraints(theirs) == kept
    assert clone.environment().constraints(theirs) == kept
    shared = clone.environment()
    (shared.prefix / "pyvenv.cfg").write_text("include-system-site-packages = true\n")
    assert shared.constraints({**theirs, "torch": "2.13.0"}) == ["torch==2.13.0", "mmdet==3.3.0"]


def test_without_desktop_libraries_the_headless_cv2_is_taken(clone, pip_calls, monkeypatch):
    clone.facts = holding(opencv_python="5.0.0.93")
    lacking = "import cv2\nImportError: libGL.so.1: cannot open shared object file"
    troubles = iter([lacking, ""])
    monkeypatch.setattr(environment.Environment, "trial", lambda self, program: next(troubles))
    clone.environment().prove()
    assert pip_calls[-1] == "install --no-deps opencv-python-headless==5.0.0.93"


def test_every_requirement_is_pinned():
    root = SCRIPT.parents[1]
    wanted = re.findall(r'^ +(?:"\w+": \[)?"([a-z-]+)[=<>"]', (root / "setup.py").read_text(), re.M)
    pinned = re.findall(r"^([a-z0-9-]+)==\S+", (root / "tools" / "pins.txt").read_text(), re.M)
    assert {"torch", "mmdet", "mmcv-lite", "pytest"} <= set(wanted) <= set(pinned)


# --- the command --------------------------------------------------------------------------------


def test_the_command_runs_in_the_active_environment(clone, monkeypatch):
    ran = []
    monkeypatch.setattr(environment.os, "execv", lambda *words: ran.append(words))
    monkeypatch.setattr(environment.Environment, "ensure", lambda self: None)
    monkeypatch.setenv("PATH", "before")
    monkeypatch.setattr(environment.sys, "prefix", "/theirs")
    environment.main(["--test", "--", "tools/demo.py", "--steps", "3", "--"])
    python = Path("/theirs/bin/python")
    assert ran == [(python, [str(python), "tools/demo.py", "--steps", "3", "--"])]
    assert environment.os.environ["PATH"] == "/theirs/bin:before"


def test_conda_counts_unless_it_is_the_base(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    monkeypatch.setattr(environment.sys, "prefix", sys.base_prefix)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")
    assert environment.active() is None
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "detection")
    assert environment.active() == tmp_path


def test_an_unknown_flag_shows_the_usage(capsys):
    assert environment.main(["--fast", "--", "x"]) == 2
    assert "tools/environment.py [--compiled | --peers] [--test]" in capsys.readouterr().out
