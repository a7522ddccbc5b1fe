"""A training that is killed at any file operation goes on from the last whole checkpoint, as if never killed.

The toy of `kills.py` stands for a detector: the hooks under test are the same, and a run takes a second.
"""

from itertools import product
from random import Random

import pytest
import torch
from kills import end, start, steps_in, toy_config, train_toy

from maxvit_mm.openmmlab.resuming import steps_of
from maxvit_mm.weights.checkpoint import load_from_local

TRAININGS = list(product((True, False), (1, 2), (False, True)))
KILLS = 3  # of each training, at random events of it; tests/campaign.py tries each


def name_of(training):
    by_epoch, processes, average = training
    return f"{'epochs' if by_epoch else 'iterations'}-{processes}-{'averaged' if average else 'plain'}"


def run(work_dir, training, resume=False, kill_at=None, **changes):
    by_epoch, processes, average = training
    arguments = (work_dir, by_epoch, average, resume)
    started = start(
        train_toy,
        arguments,
        changes,
        processes,
        kill_at,
        log=work_dir.with_suffix(".log"),
        processes=processes,
    )
    return end(started)


def hooks_of(training):
    return toy_config("nowhere", training[0], training[2], resume=False).custom_hooks


def checkpoints_in(work_dir):
    return steps_of(work_dir.glob("*.pth"), "epoch_{}.pth") or steps_of(work_dir.glob("*.pth"), "iter_{}.pth")


def assert_equal(found, wanted, where=""):
    """Every tensor and number, to the bit."""
    assert type(found) is type(wanted), where
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), where
        for key in wanted:
            assert_equal(found[key], wanted[key], f"{where}.{key}")
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted), where
        for i, pair in enumerate(zip(found, wanted, strict=True)):
            assert_equal(*pair, f"{where}.{i}")
    else:
        assert torch.equal(found, wanted) if isinstance(wanted, torch.Tensor) else found == wanted, where


def last_state(work_dir):
    steps = checkpoints_in(work_dir)
    checkpoint = load_from_local(str(max(steps, key=steps.get)))
    parts = ("state_dict", "ema_state_dict", "optimizer", "param_schedulers")
    counts = {key: checkpoint["meta"][key] for key in ("epoch", "iter", "seed")}
    return {"counts": counts, **{part: checkpoint[part] for part in parts if part in checkpoint}}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The work directory of each training that nobody kills; made once."""
    made = {}

    def of(training):
        if training not in made:
            made[training] = tmp_path_factory.mktemp(name_of(training)) / "whole"
            assert set(run(made[training], training)) == {0}
        return made[training]

    return of


def go_on_and_compare(work_dir, training, whole):
    """After a kill, what is there is whole. Resuming takes the last of it and ends as if nothing had been."""
    saved = checkpoints_in(work_dir)
    for path in work_dir.glob("*.pth"):
        load_from_local(str(path))
    assert saved or not (work_dir / "last_checkpoint").exists()
    begun = len(steps_in(work_dir))
    assert set(run(work_dir, training, resume=True)) == {0}
    steps, wanted = steps_in(work_dir), steps_in(whole)
    by_epoch, processes, _ = training
    first = max(saved.values(), default=0) * (4 // processes if by_epoch else 1)  # steps in an epoch
    assert steps[:begun] == wanted[:begun]
    assert steps[begun:] == wanted[first:]
    assert_equal(last_state(work_dir), last_state(whole))
    assert not list(work_dir.glob(".*"))  # no draft is left


@pytest.mark.parametrize("training", TRAININGS, ids=name_of)
def test_a_training_killed_at_a_file_operation_goes_on_as_if_it_had_not_been(
    training, uninterrupted, tmp_path
):
    whole = uninterrupted(training)
    for kill_at in Random(name_of(training)).sample(range(60), KILLS):
        work_dir = tmp_path / str(kill_at)
        if set(run(work_dir, training, kill_at=kill_at)) != {0}:  # it has not so many operations, else
            go_on_and_compare(work_dir, training, whole)


def test_mmengines_own_hook_is_there_by_its_full_name_and_loses_such_a_training(tmp_path):
    theirs = {"default_hooks.checkpoint.type": "mmengine.hooks.CheckpointHook"}
    training = (True, 1, False)
    kill_at = next(  # it removes the only checkpoint before it writes the next
        n
        for n in range(99)
        if run(tmp_path / str(n), training, kill_at=n, **theirs) != [0] and lost(tmp_path / str(n))
    )
    assert run(tmp_path / str(kill_at), training, resume=True, **theirs) == [1]


def lost(work_dir):
    return (work_dir / "last_checkpoint").exists() and not checkpoints_in(work_dir)


def test_a_full_disk_ends_the_training_in_a_sentence_and_leaves_what_was_saved(uninterrupted, tmp_path):
    training = (False, 1, True)
    work_dir = tmp_path / "full"
    assert run(work_dir, training, custom_hooks=[*hooks_of(training), dict(type="FullDisk", step=3)]) == [1]
    *_, words = work_dir.with_suffix(".log.0").read_text().splitlines()
    assert words.startswith(f"{work_dir}/iter_4.pth could not be written (is the disk full?): ")
    assert words.endswith("The checkpoints before it are whole: make room and resume the training")
    assert [path.name for path in checkpoints_in(work_dir)] == ["iter_2.pth"]
    go_on_and_compare(work_dir, training, uninterrupted(training))
