"""`tools/attention.py` as a user calls it: pictures, the table, and each refusal."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from runs import refusal

from maxvit_mm.commands.attention import main
from maxvit_mm.inference.evidence import Found
from maxvit_mm.openmmlab.own_config import config_of_checkpoint

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def checkpoint(trained):
    return str(trained / "iter_2.pth")


@pytest.fixture
def image(shapes):
    return str(sorted((shapes / "val2017").glob("*.jpg"))[0])


@pytest.fixture(scope="module")
def config(trained, tmp_path_factory):
    """Of a detector that keeps two objects: after two steps it would find a hundred."""
    cfg = config_of_checkpoint(str(trained / "iter_2.pth"))
    cfg.model.test_cfg.rcnn.max_per_img = 2
    path = tmp_path_factory.mktemp("config") / "two.py"
    cfg.dump(path)
    return str(path)


def test_a_picture_of_an_object_and_one_of_a_place(config, checkpoint, image, capsys):
    main([config, checkpoint, image, "--score-thr", "0", "--box", "2", "--stage", "2"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "note: this is not what the checkpoint was trained with:"
    assert [line[:3] for line in said[-3:-1]] == ["1: ", "2: "]
    assert said[-1] == "the picture is attention.png"
    options = ["--at", "30,40.5", "--block", "1", "--head", "4", "--maps", "grid", "stages"]
    main([config, checkpoint, image, *options, "--out", "at.png"])
    of_all, of_two = (cv2.imread(name) for name in ("attention.png", "at.png"))
    assert of_all.shape[1] > of_two.shape[1] > of_two.shape[0]  # two rows of four panels, one of three
    assert len(np.unique(of_two.reshape(-1, 3), axis=0)) > 1000


def test_the_table_of_faithfulness(config, checkpoint, image, capsys, monkeypatch):
    monkeypatch.setattr("maxvit_mm.inference.faithfulness.faithfulness_of.__defaults__", (2,))
    main([config, checkpoint, image, "--score-thr", "0", "--faithfulness", "--maps", "rollout"])
    first, *table = capsys.readouterr().out.splitlines()[-7:]
    assert first.startswith("2 found in 1 images, stage 3")
    rows = [
        re.fullmatch(r"\| ([\w ]+) \| \d\.\d{3} ± \d\.\d{3} \| \d\.\d{3} ± \d\.\d{3} \|", line)
        for line in table[2:]
    ]
    assert [row[1] for row in rows] == ["rollout", "random", "centre of the image", "centre of the box"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stage", "5"], "the network has stages 1 to 4: there is no stage 5"),
        (["--block", "2", "--stage", "1"], "stage 1 has one block: there is no block 2"),
        (["--head", "9"], "this stage has 4 heads, 1 to 4: there is no head 9"),
        (["--at", "30,999"], "(30, 999) is outside the image, of "),
        (["--box", "99999"], "--box 99999: "),
        (["--score-thr", "1"], "nothing was found with a score of 1 or more: lower --score-thr"),
        (["--out", "there.png"], "there.png is there: name another file with --out"),
        (["--out", "picture.txt"], "--out picture.txt: a picture's name ends in .jpg, .pdf, .png, .svg"),
        (["--out", "nowhere/a.png"], "--out nowhere/a.png: name a file in a folder that is there"),
        (["--device", "gpu"], "there is no device gpu"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(config, checkpoint, image, options, said):
    Path("there.png").touch()
    assert said in refusal(main, config, checkpoint, image, "--score-thr", "0", "--maps", "grid", *options)
    assert not Path("attention.png").exists()


def test_what_is_no_image_or_no_checkpoint_is_refused(checkpoint, image, shapes):
    Path("text.jpg").write_text("not an image")
    cv2.imwrite("tiny.png", np.zeros((20, 40, 3), np.uint8))
    assert refusal(main, checkpoint, "text.jpg") == "text.jpg is a text file and no image"
    assert refusal(main, checkpoint, "none.jpg").startswith("none.jpg is not there")
    assert "the network sees 20 pixels along a side" in refusal(main, checkpoint, "tiny.png")
    assert "has 3 images: name one of them" in refusal(main, checkpoint, shapes / "val2017")
    assert refusal(main, image, image).endswith("is no checkpoint: name one before the image")
    assert "is or has a video" in refusal(main, checkpoint, "camera:0")


@pytest.mark.parametrize(
    "words",
    [
        ["w.pth"],
        ["w.pth", "a.jpg", "b.jpg"],
        ["w.pth", "a.jpg", "--at", "1"],
        ["w.pth", "a.jpg", "--at", "1,2", "--box", "1"],
        ["w.pth", "a.jpg", "--at", "1,2", "--maps", "local"],
        ["w.pth", "a.jpg", "--stage", "0"],
        ["w.pth", "a.jpg", "--score-thr", "30"],
        ["w.pth", "a.jpg", "--faithfulness", "--head", "1"],
    ],
)
def test_words_that_make_no_sense_show_the_usage(words, capsys):
    assert refusal(main, *words) == "2"
    assert "[CONFIG] CHECKPOINT IMAGE" in capsys.readouterr().err


def test_an_objects_centre_is_in_its_middle():
    assert Found("disk", 0.5, (10, 20, 30, 60), 0).centre == (20, 40)
