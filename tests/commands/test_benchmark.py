import json

import pytest
import torch
from conftest import SMALL
from runs import PICO

from maxvit_mm import MaxViT
from maxvit_mm.commands.benchmark import main
from maxvit_mm.measure import detector_steps, timing
from maxvit_mm.measure.peers import CANDIDATES

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


def test_the_forward_pass_in_bf16_by_autocast_says_so_in_its_row(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(timing, "matrix_rate", lambda kind, device: 1.0)  # some CPUs need a minute
    size = ["--size", "1x64x64", "--rounds", "1", "--out", str(tmp_path), "--device", "cpu"]
    options = ["--only", "maxvit_mm", "--dtype", "fp32", "bf16", "--autocast"]
    in_fp32, in_bf16, *training = main([*size, *options])
    out = capsys.readouterr().out
    assert "| forward, 1 x 64 x 64, bf16 by autocast, eager, P = 7 | " in out
    assert [row.work.autocast for row in (in_fp32, in_bf16, *training)] == [False, True, False, False]
    assert json.loads((tmp_path / "benchmark.json").read_text())["rows"][1]["work"]["autocast"] is True


def test_the_first_and_the_second_call_at_a_size_never_seen_are_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(timing, "STEP", 32)
    asked = []

    def prepare(name, work, device):
        asked.append((name, work.batch, work.height, work.width))
        return lambda: None

    monkeypatch.setattr(timing, "prepare", prepare)
    monkeypatch.setattr(timing, "matrix_rate", lambda kind, device: 1.0)
    size = ["--size", "1x64x64", "1x96x64", "--rounds", "1", "--out", str(tmp_path), "--device", "cpu"]
    rows = main([*size, "--kind", "forward", "--only", "maxvit_mm", "timm", "--new-size"])
    assert [(row.work.height, row.work.call) for row in rows] == [
        *((64, ""), (96, "")),
        *((128, "first"), (128, "second"), (160, "first"), (160, "second")),
    ]
    assert asked[-4:] == [
        (name, 1, side, width) for name in ("maxvit_mm", "timm") for side, width in ((32, 32), (160, 64))
    ]
    out = capsys.readouterr().out
    assert "| forward, 1 x 128 x 64, fp32, eager, P = 7, first call at a new size | " in out
    assert "| forward, 1 x 128 x 64, fp32, eager, P = 7, second call at a new size | " in out
    assert len(main([*size, "--kind", "forward", "--only", "maxvit_mm"])) == 2  # on a CPU they are asked for


def test_the_first_call_is_timed_before_any_other_at_that_size(monkeypatch):
    ran = []

    def prepare(name, work, device):
        if name == "timm":
            raise timing.CannotRunError("no such size")
        return lambda: ran.append((work.kind, work.height))

    monkeypatch.setattr(timing, "prepare", prepare)
    monkeypatch.setattr(timing, "matrix_rate", lambda kind, device: 1.0)
    monkeypatch.setattr(timing, "seconds_of", lambda run, device: run() or float(len(ran)))
    work = timing.Work("training step", 2, 448, 448, "fp32", False, False)
    first, second = timing.first_calls(work, ["maxvit_mm", "timm"], "cpu")
    assert ran == [("training step", 224), ("training step", 448), ("training step", 448)]
    assert (first.work.call, first.seconds) == ("first", {"maxvit_mm": 2.0, "timm": None})
    assert (second.work.call, second.seconds) == ("second", {"maxvit_mm": 3.0, "timm": None})


def test_a_peer_may_fail_at_a_new_size_and_ours_may_not(monkeypatch):
    monkeypatch.setattr(timing, "prepare", lambda *_: int("no number"))
    work = timing.Work("forward", 1, 224, 224, "fp32", False, False)
    with pytest.raises(ValueError, match="no number"):
        timing.first_calls(work, ["maxvit_mm"], "cpu")


def test_autocast_is_refused_where_nothing_would_be_cast(capsys):
    for options in (["--dtype", "fp32"], ["--dtype", "bf16", "--kind", "training"]):
        with pytest.raises(SystemExit):
            main(["--autocast", *options])
        assert "--autocast is of the forward pass in bf16" in capsys.readouterr().err


def test_a_sweep_shows_how_cost_grows_with_the_pixels(tmp_path, capsys):
    main(["--sweep", "64", "96", "--rounds", "1", "--out", str(tmp_path), "--device", "cpu"])
    out = capsys.readouterr().out
    assert "| 64 x 64 | " in out
    assert "| 96 x 96 | " in out
    assert (tmp_path / "growth.png").stat().st_size > 5000
    saved = json.loads((tmp_path / "growth.json").read_text())
    assert saved["sides"] == [64, 96]
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in saved["seconds"].values())


def test_without_a_gpu_one_is_not_to_be_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        main(["--device", "cuda"])
    assert "no GPU" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--size", "224"], "BATCHxHEIGHTxWIDTH"), (["--rounds", "0"], "1 or more")]
)
def test_mistyped_numbers_are_refused_before_anything_runs(arguments, said, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err


def test_the_report_is_rehearsed_on_a_cpu(tmp_path, capsys, monkeypatch, shapes):
    """Each row once, of a small network, and a detector's steps."""

    def ours(work, **arguments):
        scaled = "scaled" if work.scaled else 7
        return MaxViT(SMALL, drop_path_rate=0.0, partition_size=scaled, **arguments)

    for module in ("peers", "equality", "timing"):
        monkeypatch.setattr(f"maxvit_mm.measure.{module}.ours", ours)
    monkeypatch.setitem(CANDIDATES, "maxvit_mm", ours)
    monkeypatch.setitem(CANDIDATES, "timm, channels-last", ours)
    monkeypatch.setitem(CANDIDATES, "Swin-T (mmdet)", ours)
    monkeypatch.setattr(timing, "matrix_rate", lambda kind, device: 1.0)
    monkeypatch.setattr(torch, "compile", lambda network: network)  # it takes a minute
    monkeypatch.setattr(detector_steps, "CONFIG", PICO)
    monkeypatch.setattr(detector_steps, "BACKBONES", {"maxvit_mm": {}, "Swin-T (mmdet)": {}})
    main(["--report", "--device", "cpu", "--rounds", "1", "--data", str(shapes), "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert "relative error of ours" in out
    table = (tmp_path / "report.md").read_text()
    assert table.strip() in out
    saved = json.loads((tmp_path / "report.json").read_text())
    unknown = [goal["compared"] for goal in saved["goals"] if goal["value"] is None]
    assert unknown == ["launches", "launches"]  # which only a GPU counts
    assert len(saved["goals"]) == 17
    for what, count in {"steps": 2, "parts": 3}.items():  # the very first step is no time of a step
        counts = {name: len(each) for name, each in saved[what].items()}
        assert counts == {"maxvit_mm": count, "Swin-T (mmdet)": count}
    assert "| heads and losses | " in table
    assert "One process reads and augments the images of a step in " in table
    assert saved["lost"] == []


def test_the_report_has_works_of_its_own(capsys):
    for options in (["--report", "--only", "timm"], ["--data", "somewhere"]):
        with pytest.raises(SystemExit):
            main(options)
    assert "--report has works of its own" in capsys.readouterr().err
