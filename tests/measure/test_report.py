"""A report loses no row to another one, and keeps to its time."""

import gc
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import weakref
from collections import OrderedDict
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from mmengine.registry import DefaultScope
from runs import PICO

from maxvit_mm.commands import benchmark
from maxvit_mm.measure import processes, timing
from maxvit_mm.measure import report as report_module
from maxvit_mm.measure.breakdown import OPS, PARTS, breakdown_table
from maxvit_mm.measure.detector_steps import (
    LEAST,
    batches_of,
    built,
    config_on,
    parts_of_steps,
    step_times,
)
from maxvit_mm.measure.equality import NotEqualError
from maxvit_mm.measure.goals import TINY, Goal
from maxvit_mm.measure.launches import launches
from maxvit_mm.measure.peers import CANDIDATES
from maxvit_mm.measure.report import Report

DEVICES = "cpu", "cuda"


def report(sections, minutes=6.0):
    made = Report("cpu", "fp32", 1, None, TINY, minutes)
    made.sections = lambda: iter(sections(made))
    return made


def test_a_section_that_fails_loses_no_other_one(capsys):
    def sections(made):
        yield "broken", lambda: 1 / 0
        yield "measured", lambda: made.found.goals.append(Goal("a", "x", 2.0, 1.5, True))

    saved = []
    found = report(sections).run(lambda made: saved.append((made.running, made.found.as_text())))
    assert found.lost == ["broken: ZeroDivisionError: division by zero"]
    assert [goal.value for goal in found.goals] == [2.0]
    assert [running for running, _ in saved] == ["broken", None, "measured", None]
    assert "| a | x | 2 | at least 1.5 | reached |" not in saved[2][1]  # of what had been measured by then
    assert saved[3][1].endswith("Not measured:\n\n- broken: ZeroDivisionError: division by zero")
    assert "Traceback" in capsys.readouterr().err


class Dying(Report):
    """Of which two sections end their process, one never ends, and after one the GPU is gone."""

    def sections(self):
        found, this = self.found.goals, os.getpid()
        yield "measured", lambda: found.append(Goal("a", "x", this, 1.5, True))
        yield "crashes", lambda: os._exit(7)
        yield "gone", lambda: setattr(self, "gone", True)
        yield "hangs", lambda: time.sleep(600)
        yield "measured last", lambda: found.append(Goal("b", "x", this, 1.5, True))


def test_a_section_that_takes_its_process_or_the_gpu_with_it_loses_no_other_one(monkeypatch):
    forked = multiprocessing.get_context("fork")  # which starts sooner than what a GPU needs
    monkeypatch.setattr(processes.multiprocessing, "get_context", lambda _: forked)
    monkeypatch.setattr(processes, "LONGEST", 5 / 60)
    saved = []
    made = Dying("cpu", "fp32", 1, None, TINY, minutes=1.0)
    pickle.dumps(made)  # as it travels there
    found = processes.run_apart(made, lambda report: saved.append(report.found.as_text()))
    assert found.lost == [
        "crashes: its process ended, with exit status 7",
        f"hangs: it took more than 5 s, with exit status -{signal.SIGKILL:d}",
    ]
    assert [goal.work for goal in found.goals] == ["a", "b"]
    assert len({os.getpid(), *(goal.value for goal in found.goals)}) == 3
    assert saved[-1] == found.as_text()


def test_ours_as_a_cuda_graph_stands_beside_timm_as_it_was_timed(monkeypatch):
    for name in ("timm, channels-last", "maxvit_mm, deployed", "maxvit_mm, deployed, graph"):
        monkeypatch.setitem(CANDIDATES, name, lambda work: torch.nn.Conv2d(3, 4, 3))
    captured = []
    monkeypatch.setattr(timing, "as_graph", lambda run, device: captured.append(device) or run)
    monkeypatch.setattr(timing, "matrix_rate", lambda kind, device: 1.0)
    monkeypatch.setattr(Report, "say_equal", lambda *_: None)
    made = Report("cpu", "bf16", 1, None, TINY)
    work, name = made.work("forward", TINY.small), "maxvit_mm, deployed, graph"
    with pytest.raises(RuntimeError, match="timm was not measured in forward"):
        made.as_a_graph(work, name)
    made.beside_timm(work)
    assert not captured
    made.as_a_graph(work, name)
    assert captured == ["cpu"]
    eager, graph = made.found.rows
    goal = made.found.goals[-1]
    assert goal.value == eager.seconds["timm, channels-last"] / graph.seconds[name]
    assert (goal.compared, goal.bound) == ("timm channels-last / ours as a CUDA graph", 2.4)


def test_graphs_are_sections_of_a_gpus_report_alone():
    titles = {
        device: [title for title, _ in Report(device, "bf16", 1, None, TINY).sections()] for device in DEVICES
    }
    more = [title for title in titles["cuda"] if title not in titles["cpu"]]
    assert len(more) == 4
    assert all("as a CUDA graph" in title for title in more)
    assert all(len(set(each)) == len(each) for each in titles.values())


def test_a_graph_keeps_the_network_whose_memory_it_reads(monkeypatch):
    stream, replayed = SimpleNamespace(wait_stream=lambda _: None), []
    for name, stub in {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": nullcontext,
        "graph": nullcontext,
        "CUDAGraph": lambda: SimpleNamespace(replay=lambda: replayed.append(1)),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stub)
    network = torch.nn.Conv2d(3, 4, 3)
    held, run = weakref.ref(network), timing.as_graph(partial(network, torch.zeros(1, 3, 4, 4)), "cuda")
    del network
    gc.collect()
    run()
    assert replayed
    assert held() is not None


def test_a_graph_is_refused_without_a_gpu():
    with pytest.raises(timing.CannotRunError, match="for a GPU"):
        timing.as_graph(lambda: None, "cpu")


def test_what_a_peer_lacks_is_named_and_ours_is_measured_all_the_same(monkeypatch):
    def absent(work):
        raise ModuleNotFoundError("No module named 'timm'")

    monkeypatch.setitem(CANDIDATES, "timm, channels-last", absent)
    monkeypatch.setitem(CANDIDATES, "maxvit_mm, deployed", lambda work: torch.nn.Conv2d(3, 4, 3))
    monkeypatch.setattr(Report, "say_equal", lambda *_: None)
    monkeypatch.setattr("maxvit_mm.measure.timing.matrix_rate", lambda kind, device: 1.0)
    made = Report("cpu", "fp32", 1, None, TINY)
    made.attempt("forward", lambda: made.beside_timm(made.work("forward", TINY.small)))
    why = "ModuleNotFoundError: No module named 'timm'"
    assert made.found.lost == [f"{made.found.rows[0].work}: timm, channels-last: {why}"]
    assert made.found.rows[0].seconds["maxvit_mm, deployed"] > 0
    assert [goal.value for goal in made.found.goals] == [None]


def test_all_but_a_detectors_steps_is_measured_without_mmdetection(tmp_path):
    lacks = [*("mmdet", "pycocotools", "timm", "supervision", "torchvision"), "mmseg", "mmpretrain"]
    program = f"""
import sys
for name in {lacks!r}:
    sys.modules[name] = None
from maxvit_mm.measure.goals import TINY
from maxvit_mm.commands import benchmark
from maxvit_mm.measure.report import Report
benchmark.Report.say_equal = lambda *_: None
kept = ("forward beside timm", "Mask R-CNN, steps on images of mixed sizes")
sections = Report.sections
Report.sections = lambda self: [each for each in sections(self) if each[0] in kept]
once = ["--report", "--device", "cpu", "--rounds", "1", "--dtype", "fp32"]
benchmark.main([*once, "--out", {str(tmp_path)!r}])
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1, ran.stderr
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["rows"][0]["seconds"]["maxvit_mm, deployed"] > 0
    without_timm, without_coco = saved["lost"]
    assert "timm, channels-last: " in without_timm
    assert without_coco.startswith("Mask R-CNN, steps on images of mixed sizes: ModuleNotFoundError: ")


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
    made = Report("cpu", "fp32", 1, None, TINY)
    made.attempt("forward", lambda: made.beside_timm(made.work("forward", TINY.small)))
    assert made.found.lost[0].startswith("forward: NotEqualError: forward, 2 x 64 x 64")


def test_the_command_ends_with_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(Report, "sections", lambda _: iter([("broken", lambda: 1 / 0)]))
    with pytest.raises(SystemExit, match="1 were not measured: broken: ZeroDivisionError"):
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


def test_each_backbone_is_built_as_often_as_is_wanted_and_no_scope_is_left_behind(batches, monkeypatch):
    """The second table builds what the first has built; what follows may have to do without MMDetection."""
    monkeypatch.setattr(DefaultScope, "_instance_dict", OrderedDict())
    for kind in ("MaxViT", "SwinTransformer") * 2:
        name = {"MaxViT": "maxvit_mm", "SwinTransformer": "Swin-T (mmdet)"}[kind]
        assert type(built(batches[0], name, "cpu", "fp32")[0].backbone).__name__ == kind
    assert DefaultScope.get_current_instance() is None


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
