import json

import pytest
import torch

from maxvit_mm.commands import benchmark
from maxvit_mm.commands.benchmark import Row, main, table
from maxvit_mm.measure.peers import Work

OURS = ["maxvit_mm", "maxvit_mm, deployed"]


def test_a_run_leaves_a_table_numbers_and_a_chart(tmp_path, capsys):
    size = ["--size", "1x64x96", "--rounds", "1", "--out", str(tmp_path), "--device", "cpu"]
    forward, training = main([*size, "--only", *OURS, "timm"])
    out = capsys.readouterr().out
    assert forward.multiply_adds == training.multiply_adds > 0
    assert all(forward.seconds[name] > 0 for name in OURS)
    assert training.seconds["maxvit_mm, deployed"] is None  # folded norms cannot be trained
    assert training.peak_bytes["maxvit_mm"] > 2**20
    assert forward.seconds["timm"] is None  # 64 x 96 is no size for it, where it is installed
    assert "timm cannot" in out
    assert "| forward, 1 x 64 x 96, fp32, eager, P = 7 | " in out
    saved = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert saved[0]["seconds"] == forward.seconds
    assert (tmp_path / "benchmark.png").stat().st_size > 5000


def test_ratios_are_in_times_of_ours_and_the_share_is_of_the_matrix_products_rate():
    work = Work("training step", 4, 224, 224, "fp32", False, False)
    row = Row(work, {"maxvit_mm": 0.5, "peer": 1.0, "other": None}, {}, multiply_adds=10**9, peak_rate=24e9)
    line = table([row._replace(peak_bytes=dict.fromkeys(row.seconds))], list(row.seconds)).splitlines()[-1]
    assert line.split(" | ")[1:] == ["500 ms (1.00)", "1000 ms (2.00)", "cannot", "8", "50% |"]


def test_many_images_a_second_are_written_out():
    work = Work("forward", 256, 224, 224, "fp32", False, False)
    row = Row(work, {"maxvit_mm": 0.2}, {}, multiply_adds=10**9, peak_rate=24e9)
    assert "| 1280 |" in table([row], ["maxvit_mm"])


def test_what_ours_cannot_leaves_its_share_empty():
    work = Work("training step", 4, 224, 224, "fp32", False, False)
    row = Row(work, {"maxvit_mm, deployed": None, "peer": 1.0}, {}, multiply_adds=10**9, peak_rate=24e9)
    line = table([row._replace(peak_bytes=dict.fromkeys(row.seconds))], list(row.seconds)).splitlines()[-1]
    assert line.split(" | ")[1:] == ["cannot", "1000 ms", "", " |"]


def test_on_a_gpu_its_own_clock_is_read_once_it_is_done(monkeypatch):
    did = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            did.append("record")

        def synchronize(self):
            did.append("synchronize")

        def elapsed_time(self, ended):
            return 2500.0  # milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)
    assert benchmark.seconds_of(lambda: did.append("run"), "cuda") == 2.5
    assert did == ["record", "run", "record", "synchronize"]


def test_without_a_gpu_one_is_not_to_be_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        main(["--device", "cuda"])
    assert "no GPU" in capsys.readouterr().err


def test_candidates_take_turns(monkeypatch):
    """So that a busy moment of the machine falls on all of them."""
    order = []

    def prepare(name, work, device):
        return lambda: order.append(name)

    monkeypatch.setattr(benchmark, "prepare", prepare)
    monkeypatch.setattr(benchmark, "matrix_rate", lambda kind, device: 1.0)
    benchmark.measure(Work("forward", 1, 64, 64, "fp32", False, False), ["a", "b"], "cpu", 3, memory=False)
    assert order[-6:] == ["a", "b"] * 3


@pytest.mark.parametrize("kind", ["fp32", "bf16"])
def test_the_matrix_products_rate_is_measured(kind):
    assert benchmark.matrix_rate(benchmark.DTYPES[kind], "cpu", side=64) > 1e6


def test_a_peer_may_fail_and_ours_may_not(monkeypatch):
    def prepare(name, work, device):
        raise RuntimeError("broken")

    monkeypatch.setattr(benchmark, "prepare", prepare)
    monkeypatch.setattr(benchmark, "matrix_rate", lambda kind, device: 1.0)
    work = Work("forward", 1, 64, 64, "fp32", False, False)
    assert benchmark.measure(work, ["timm"], "cpu", 1, memory=False).seconds == {"timm": None}
    with pytest.raises(RuntimeError, match="broken"):
        benchmark.measure(work, ["maxvit_mm"], "cpu", 1, memory=False)


def test_a_sweep_shows_how_cost_grows_with_the_pixels(tmp_path, capsys):
    main(["--sweep", "64", "96", "--rounds", "1", "--out", str(tmp_path), "--device", "cpu"])
    out = capsys.readouterr().out
    assert "| 64 x 64 | " in out
    assert "| 96 x 96 | " in out
    assert (tmp_path / "growth.png").stat().st_size > 5000
    saved = json.loads((tmp_path / "growth.json").read_text())
    assert saved["sides"] == [64, 96]
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in saved["seconds"].values())


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--size", "224"], "BATCHxHEIGHTxWIDTH"), (["--rounds", "0"], "1 or more")]
)
def test_mistyped_numbers_are_refused_before_anything_runs(arguments, said, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err
