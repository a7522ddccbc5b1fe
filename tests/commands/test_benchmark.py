import json

import pytest
import torch

from maxvit_mm.commands.benchmark import main
from maxvit_mm.measure import timing

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
