from functools import partial

import pytest
from conftest import SMALL

from maxvit_mm import MaxViT
from maxvit_mm.measure import equality
from maxvit_mm.measure.goals import (
    Goal,
    Row,
    Work,
    against_timm,
    detector_goal,
    few_launches,
    goals_table,
    new_size,
    per_pixel,
)
from maxvit_mm.network.twins import TWINS

FORWARD = Work("forward", 2, 64, 96, "fp32", compiled=False, scaled=False)
TRAINING = FORWARD._replace(kind="training step")


@pytest.fixture(autouse=True)
def small(monkeypatch, no_map_is_too_small):
    monkeypatch.setattr(equality, "ours", lambda work: MaxViT(SMALL, drop_path_rate=0.0))


@pytest.mark.parametrize("work", [FORWARD, TRAINING, TRAINING._replace(dtype="bf16")], ids=str)
def test_ours_and_the_plain_network_are_shown_to_be_equal(work):
    ours, plain = equality.check_equal(work, "cpu")
    assert 0 < ours <= 2 * plain + 2e-6


@pytest.mark.parametrize("work", [FORWARD, TRAINING], ids=str)
def test_a_twin_that_is_wrong_by_a_thousandth_is_not_timed(work, monkeypatch):
    def wrong(twin, *args):
        out = twin.run(*args)
        return out * 1.001 if hasattr(out, "shape") else [each * 1.001 for each in out]

    for seam in ("MaxViTBlock.forward", "FFN.forward"):
        wronged = [twin._replace(run=partial(wrong, twin)) for twin in TWINS[seam]]
        monkeypatch.setitem(TWINS, seam, wronged)
    with pytest.raises(equality.NotEqualError, match="its time would mean nothing"):
        equality.check_equal(work, "cpu")


def row(work, seconds, peaks=None):
    return Row(work, seconds, peaks or dict.fromkeys(seconds), 1, 1.0)


def test_a_ratio_is_theirs_over_ours_and_memory_ours_over_theirs():
    times = {"maxvit_mm": 2.0, "timm, channels-last": 5.0}
    peaks = {"maxvit_mm": 3, "timm, channels-last": 4}
    speed, memory = against_timm(row(TRAINING, times, peaks), "maxvit_mm", bound=2.2)
    assert (speed.value, speed.reached) == (2.5, True)
    assert (memory.value, memory.reached) == (0.75, False)
    (alone,) = against_timm(row(FORWARD, {**times, "timm, channels-last": None}), "maxvit_mm", bound=2.4)
    assert (alone.value, alone.reached) == (None, None)


def test_a_size_is_judged_by_the_pixel_and_a_new_one_by_what_it_takes_more():
    even = row(FORWARD._replace(height=100, width=100), {"maxvit_mm": 1.0})
    odd = row(FORWARD._replace(height=50, width=100), {"maxvit_mm": 0.6})
    assert per_pixel(even, odd)[2:] == (pytest.approx(1.2), 1.15, False)
    assert new_size(odd, even).value == pytest.approx(-0.4)


def test_a_step_that_waits_for_its_size_counts_in_the_detectors_mean():
    goal = detector_goal({"maxvit_mm": [1.0, 9.0], "Swin-T (mmdet)": [2.0, 2.0]}, batch=8)
    assert (goal.value, goal.reached) == (2.5, False)


def test_launches_are_of_a_gpu(monkeypatch):
    monkeypatch.setattr("maxvit_mm.measure.goals.prepare", lambda *_: lambda: None)
    (goal,) = few_launches(FORWARD, "maxvit_mm", "cpu", 350)
    assert goal.value is None


def test_the_table_says_what_was_reached_what_was_missed_and_what_was_not_measured():
    goals = [Goal("a", "x", value, 1.5, True) for value in (1.5, 1.2, None)]
    assert goals_table(goals).splitlines()[2:] == [
        "| a | x | 1.5 | at least 1.5 | reached |",
        "| a | x | 1.2 | at least 1.5 | missed |",
        "| a | x | not measured | at least 1.5 |  |",
    ]
