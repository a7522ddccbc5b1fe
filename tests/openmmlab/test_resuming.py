"""Which checkpoint a training goes on from, and what is said of it."""

import os
import shutil

import pytest
import torch
from mmengine.config import Config

from maxvit_mm.openmmlab.config_checks import notes_on_the_start
from maxvit_mm.openmmlab.resuming import checkpoint_to_resume
from maxvit_mm.openmmlab.whole_checkpoints import WholeCheckpointHook
from maxvit_mm.weights import CheckpointError

STATE = dict(meta=dict(epoch=1, iter=2), message_hub={}, state_dict=dict(w=torch.arange(100.0)))


@pytest.fixture
def folder(tmp_path):
    """Three epochs of a training, in the order of time; the last one is named."""
    work_dir = tmp_path / "run"
    work_dir.mkdir()
    for epoch in (1, 2, 3):
        torch.save(STATE, work_dir / f"epoch_{epoch}.pth")
        written(work_dir / f"epoch_{epoch}.pth", epoch)
    name(work_dir, "epoch_3.pth", 4)
    return work_dir


def written(path, when):
    os.utime(path, (when, when))


def name(work_dir, checkpoint, when):
    (work_dir / "last_checkpoint").write_text(str(work_dir / checkpoint) if checkpoint else "")
    written(work_dir / "last_checkpoint", when)


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def flip(path):
    data = bytearray(path.read_bytes())
    data[data.index(torch.arange(100.0).numpy().tobytes()) + 17] ^= 1
    path.write_bytes(data)


def taken(work_dir, template="epoch_{}.pth"):
    path, why = checkpoint_to_resume(work_dir, work_dir, template)
    return path and path.removeprefix(f"{work_dir}/"), why


def test_the_named_one_is_taken_without_a_word(folder):
    assert taken(folder) == ("epoch_3.pth", "")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "epoch_3.pth is damaged or no PyTorch checkpoint (its end is missing)"),
        (flip, "the bytes of epoch_3/data/0 are not those that were written"),
        (os.remove, "names {}/epoch_3.pth, which is not there"),
        (lambda path: path.write_bytes(b""), "epoch_3.pth is empty"),
        (lambda path: torch.save(dict(w=torch.ones(1)), path), "epoch_3.pth holds no state of a training"),
    ],
)
def test_of_a_damaged_one_the_one_before_is_taken_and_said_in_a_line(folder, damage, words):
    damage(folder / "epoch_3.pth")
    path, why = taken(folder)
    assert path == "epoch_2.pth"
    assert why.startswith(f"resuming from {folder}/epoch_2.pth, the last whole checkpoint: ")
    assert words.format(folder) in why
    assert "\n" not in why
    cut(folder / "epoch_2.pth")
    assert taken(folder)[0] == "epoch_1.pth"


def test_one_that_was_written_but_not_named_yet_is_taken(folder):
    name(folder, "epoch_2.pth", 2.5)
    path, why = taken(folder)
    assert path == "epoch_3.pth"
    assert why.endswith(f"last_checkpoint names {folder}/epoch_2.pth")


def test_a_user_may_name_an_earlier_one(folder):
    name(folder, "epoch_1.pth", 9)
    assert taken(folder) == ("epoch_1.pth", "")


def test_those_of_an_older_run_in_the_folder_are_not_taken(folder):
    name(folder, "epoch_1.pth", 9)
    cut(folder / "epoch_1.pth")
    with pytest.raises(CheckpointError, match=r"no whole checkpoint in .*epoch_1\.pth is damaged"):
        taken(folder)


@pytest.mark.parametrize("pointer", ["", "epoch_"], ids=["empty", "cut"])
def test_where_none_is_named_the_newest_is_taken(folder, pointer):
    name(folder, pointer, 9)
    written(folder / "epoch_3.pth", 0)  # an older run's
    assert taken(folder)[0] == "epoch_2.pth"
    (folder / "last_checkpoint").unlink()
    assert taken(folder) == (
        "epoch_2.pth",
        f"resuming from {folder}/epoch_2.pth, the last whole checkpoint: {folder}/last_checkpoint names none",
    )


def test_a_folder_that_was_moved_or_copied_is_resumed_from_its_last(folder):
    moved = folder.with_name("moved")
    shutil.copytree(folder, moved, copy_function=shutil.copyfile)  # in any order of time
    shutil.rmtree(folder)
    assert taken(moved)[0] == "epoch_3.pth"


def test_where_none_is_whole_the_training_stops_and_names_each(folder):
    for epoch in (1, 2, 3):
        cut(folder / f"epoch_{epoch}.pth")
    with pytest.raises(CheckpointError) as caught:
        taken(folder)
    message = str(caught.value)
    assert message.startswith(f"there is no whole checkpoint in {folder} to resume from")
    assert all(f"epoch_{epoch}.pth is damaged" in message for epoch in (1, 2, 3))
    assert message.endswith("to start from the beginning, train without resuming")


def test_where_there_is_none_at_all_training_begins(tmp_path):
    assert taken(tmp_path) == (None, "")
    assert checkpoint_to_resume(tmp_path / "nowhere", tmp_path / "nowhere", "epoch_{}.pth") == (None, "")


def test_remote_ones_are_mmengines_affair(folder):
    (folder / "last_checkpoint").write_text("s3://bucket/epoch_3.pth")
    assert taken(folder) == ("s3://bucket/epoch_3.pth", "")
    hook = WholeCheckpointHook(out_dir="s3://bucket")
    assert not hook.is_local
    assert not WholeCheckpointHook(backend_args=dict(backend="petrel")).is_local


def test_drafts_that_a_kill_left_are_removed_and_nothing_else(folder):
    ours = {".epoch_4.pth.abcdefgh.draft", ".best_coco_epoch_3.pth.abcdefgh.draft"}
    others = {".epoch_4.pth", ".maxvit_t.pth.abcdefgh.draft", "epoch_4.pth.abcdefgh.draft"}
    for draft in ours | others:
        (folder / draft).touch()
    before = {path.name for path in folder.iterdir()}
    WholeCheckpointHook().remove_drafts(folder)
    assert {path.name for path in folder.iterdir()} == before - ours


def test_a_training_that_would_write_over_another_says_so(folder, tmp_path):
    cfg = Config(dict(model=dict(), work_dir=str(folder)))
    (note,) = notes_on_the_start(cfg)
    assert "holds checkpoints of an earlier training" in note
    assert "add --resume to go on" in note
    assert list(notes_on_the_start(Config(dict(cfg, resume=True)))) == []
    assert list(notes_on_the_start(Config(dict(cfg, work_dir=str(tmp_path / "new"))))) == []
