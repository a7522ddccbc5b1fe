"""A stranger's checkpoint that wants to run code, given to each command that reads one, from each place."""

import os
import pickle
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.fileio import io as fileio
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from runs import PICO, TWO_STEPS, pretrained, refusal

from maxvit_mm.commands.convert_weights import main as convert
from maxvit_mm.commands.test import main as evaluate
from maxvit_mm.commands.train import main as train
from maxvit_mm.weights import CheckpointError, read_weights

pytestmark = pytest.mark.usefixtures("elsewhere")


class RunsCode:
    def __reduce__(self):
        return os.system, ("touch ran",)


class Reaches:
    """The first step from MMEngine's log, which its checkpoints hold, to everything."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, "__init__")


EVIL = {"evil.pth": RunsCode, "reaching.pth": Reaches}


class Storage(LocalBackend):
    """A remote storage: `s3://NAME` is the file NAME here."""

    def get(self, filepath):
        return Path(filepath.removeprefix("s3://")).read_bytes()


def load_from_plugin(filename, map_location=None):
    """As many a plugin reads."""
    return torch.load(filename.removeprefix("plugin://"), map_location=map_location, weights_only=False)


@pytest.fixture
def served(monkeypatch):
    """The files of this folder, at an address that ends in a slash, a storage's, and a plugin's."""
    monkeypatch.setenv("TORCH_HOME", "cache")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # a widespread remedy
    monkeypatch.setitem(fileio.backends, "petrel", Storage)
    monkeypatch.setattr(CheckpointLoader, "_schemes", {**CheckpointLoader._schemes})
    CheckpointLoader.register_scheme(prefixes="plugin://", loader=load_from_plugin, force=True)
    for name, kind in EVIL.items():
        torch.save({"state_dict": {"a": torch.ones(1)}, "meta": {}, "message_hub": kind()}, name)
    torch.save({"state_dict": {"a": torch.ones(2)}}, "good.pth")
    handler = partial(SimpleHTTPRequestHandler, directory=str(Path.cwd()))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "local": "",
            "http": f"http://127.0.0.1:{server.server_port}/",
            "storage": "s3://",
            "plugin": "plugin://",
        }
        server.shutdown()


PLACES = ["local", "http", "storage", "plugin"]


def commands(shapes, path):
    """Each way to have a checkpoint read, by its name."""
    data, options = ["--data", str(shapes), "--work-dir", "w"], ["--cfg-options", *TWO_STEPS]
    return {
        "load": (train, PICO, *data, *options, f"load_from={path}"),
        "start": (train, PICO, *data, *options, *pretrained(path)),
        "resume": (train, PICO, *data, "--resume", path, *options),
        "test": (evaluate, PICO, path, *data, *options),
        "convert": (convert, path, "out.pth"),
    }


# MMEngine reads from every place by the same call: two commands for each place, each twice.
WAYS = {
    "local": ["load", "start", "resume", "test", "convert"],  # which reads local files only
    "http": ["resume", "test"],
    "storage": ["load", "test"],
    "plugin": ["start", "resume"],
}


@pytest.mark.parametrize("place", PLACES)
def test_a_checkpoint_that_wants_to_run_code_is_refused_by_every_command(served, shapes, place):
    path = f"{served[place]}evil.pth"
    for way in WAYS[place]:
        command, *arguments = commands(shapes, path)[way]
        said = refusal(command, *arguments)
        assert f"{path} holds more than tensors, and loading it could run code: it was not loaded" in said
    assert not Path("ran").exists()
    pickle.loads(pickle.dumps(RunsCode()))  # it would have
    assert Path("ran").exists()


@pytest.mark.parametrize("place", PLACES)
def test_what_this_process_allows_elsewhere_is_not_allowed_to_a_checkpoint(served, place, capsys):
    """onedl's mmengine allows `getattr` while it reads, beside ours, which gives a log's statistics only."""
    theirs = [partial(getattr) for _ in range(50)]  # the allow-list has no order: one of these comes last
    assert read_weights(f"{served[place]}good.pth").tensors["a"].tolist() == [1, 1]
    with torch.serialization.safe_globals([(each, "builtins.getattr") for each in theirs]):
        with pytest.raises(CheckpointError, match="could run code: it was not loaded") as caught:
            read_weights(f"{served[place]}reaching.pth")
        assert "HistoryBuffer'>, '__init__') in a checkpoint" in str(
            caught.value
        )  # the first reading's reason
        allowed = torch.serialization.get_safe_globals()
        assert {(each, "builtins.getattr") for each in theirs} <= set(allowed)  # the process keeps its own
    assert "Falling back" not in capsys.readouterr().out
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert torch.load is torch.serialization.load


@pytest.mark.parametrize(
    ("place", "way"), [("local", "convert"), ("http", "load"), ("storage", "resume"), ("plugin", "test")]
)
def test_a_command_refuses_to_reach_beyond_mmengines_log(served, shapes, place, way):
    command, *arguments = commands(shapes, f"{served[place]}reaching.pth")[way]
    assert "it was not loaded" in refusal(command, *arguments)
