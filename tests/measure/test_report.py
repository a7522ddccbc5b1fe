"""A report loses no row to another one, and keeps to its time."""

import json
import time

import pytest
import torch
from runs import PICO

from maxvit_mm.commands import benchmark
from maxvit_mm.measure import report as report_module
from maxvit_mm.measure.breakdown import OPS, PARTS, breakdown_table
from maxvit_mm.measure.detector_steps import LEAST, batches_of, config_on, parts_of_steps, step_times
from maxvit_mm.measure.equality import NotEqualError
from maxvit_mm.measure.goals import TINY, Goal
from maxvit_mm.measure.launches import launches
from maxvit_mm.measure.report import Report


def report(sections, minutes=6.0):
    made = Report("cpu", "fp32", 1, lambda: None, TINY, minutes)
    made.sections = lambda: iter(sections(made))
    return made


def test_a_section_that_fails_loses_no_other_one(capsys):
    def sections(made):
        yield "broken", lambda: 1 / 0
        yield "measured", lambda: made.found.goals.append(Goal("a", "x", 2.0, 1.5, True))

    saved = []
    found = report(sections).run(lambda found: saved.append(found.as_text()))
    assert found.lost == ["broken: ZeroDivisionError: division by zero"]
    assert [goal.value for goal in found.goals] == [2.0]
    assert "| a | x | 2 | at least 1.5 | reached |" not in saved[0]  # of what had been measured by then
    assert saved[1].endswith("Not measured:\n\n- broken: ZeroDivisionError: division by zero")
    assert "Traceback" in capsys.readouterr().err


def test_nothing_is_begun_after_the_time_that_is_given():
    def sections(made):
        yield "slow", lambda: time.sleep(0.02)
        yield "next", lambda: pytest.fail("it was begun")

    assert report(sections, minutes=0.01 / 60).run(lambda _: None).lost == [
        "next: not begun, as 0.01 minutes were over".replace("0.01", f"{0.01 / 60:g}")
    ]


def test_what_is_not_equal_is_not_timed(monkeypatch):
    def unequal(work, device):
        raise NotEqualError(f"{work}: its time would mean nothing")

    monkeypatch.setattr(report_module, "check_equal", unequal)
    monkeypatch.setattr(report_module, "measure", lambda *_: pytest.fail("it was timed"))
    made = Report("cpu", "fp32", 1, lambda: None, TINY)
    made.attempt("forward", lambda: made.beside_timm(made.work("forward", TINY.small)))
    assert made.found.lost[0].startswith("forward: NotEqualError: forward, 2 x 64 x 64")


def test_the_command_ends_with_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(Report, "sections", lambda _: iter([("broken", lambda: 1 / 0)]))
    with pytest.raises(SystemExit, match="1 sections were not measured: broken: ZeroDivisionError"):
        benchmark.main(["--report", "--device", "cpu", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "report.json").read_text())["lost"]
    assert "- broken: " in (tmp_path / "report.md").read_text()


@pytest.fixture(scope="module")
def batches(shapes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maxvit_mm.measure.detector_steps.CONFIG", PICO)
        cfg = config_on(shapes, (96, 64))
    found, reading = batches_of(cfg, 1, 6)
    assert len(found) == len(reading) == 6
    return cfg, found


@pytest.fixture
def same_backbone(monkeypatch):
    monkeypatch.setattr("maxvit_mm.measure.detector_steps.BACKBONES", {"a": {}, "b": {}})


def test_the_parts_of_a_step_are_the_step(batches, same_backbone):
    cfg, data = batches
    steps = parts_of_steps(cfg, data[:2], ["a", "b"], "cpu", "fp32")
    for step in (*steps["a"], *steps["b"]):
        assert sum(step[part] for part in PARTS) == pytest.approx(step["step"])
        assert min(step[part] for part in PARTS) > 0
        within = {"nms": "heads and losses", "roi_align_forward": "heads and losses"}
        within["roi_align_backward"] = "backward: heads"
        assert all(0 < step[op] < step[within[op]] for op in OPS)
    table = breakdown_table(steps).splitlines()
    assert len(table) == 2 + len(PARTS) + 1 + len(OPS)
    assert table[2 + len(PARTS)].count("(100%)") == 2


def test_both_detectors_take_as_many_steps_as_the_slower_has_time_for(batches, same_backbone, monkeypatch):
    took = iter([9.0] * (LEAST + 1) + [0.1] * 6)
    monkeypatch.setattr("maxvit_mm.measure.detector_steps.seconds_of", lambda *_: next(took))
    times = step_times(*batches, ["a", "b"], "cpu", "fp32", most=10.0)
    assert times == {"a": [9.0] * LEAST, "b": [0.1] * LEAST}


def test_a_profiler_that_sees_no_launch_has_counted_none(monkeypatch):
    class Profiled:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def key_averages(self):
            return []

    monkeypatch.setattr("maxvit_mm.measure.launches.profile", lambda activities: Profiled())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert launches(lambda: None, "cuda") is None
