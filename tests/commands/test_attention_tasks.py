"""Where a segmenter and a classifier looked, by the command of a detector."""

import re

import cv2
import numpy as np
import pytest
import torch
from runs import refusal
from untrained import NAMES, classifier_config, save, segmenter_config

from maxvit_mm.commands.attention import main
from maxvit_mm.inference.explaining import explain, weights_of
from maxvit_mm.inference.faithfulness import over_pixels
from maxvit_mm.inference.looking import Looker

pytestmark = pytest.mark.usefixtures("elsewhere")
WIDE = (80, 160)  # of which the classifier sees 64 / 72 of the height, and as many columns


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untrained")
    made = dict(segmenter=segmenter_config(), classifier=classifier_config())
    return {name: save(cfg, folder / f"{name}.pth") for name, cfg in made.items()}


def scene():
    image = np.random.default_rng(0).integers(256, size=(*WIDE, 3), dtype=np.uint8)
    image[20:60, 60:100] = (30, 200, 90)
    return image


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), scene())
    return path


@pytest.fixture(scope="module")
def looked(checkpoints):
    lookers = {name: Looker.from_checkpoint(path, device="cpu") for name, path in checkpoints.items()}
    return {name: (looker, looker.look(scene())) for name, looker in lookers.items()}


@pytest.mark.parametrize("name", ["segmenter", "classifier"])
def test_a_picture_says_who_looked_and_for_what(checkpoints, image, name, capsys):
    main([str(checkpoints[name]), str(image), "--maps", "rollout", "local", "--class", NAMES[0]])
    said = capsys.readouterr().out.splitlines()
    assert re.match(rf"1: {NAMES[0]} \d\.\d\d at ", said[-2])
    assert said[-1] == "the picture is attention.png"
    assert len(np.unique(cv2.imread("attention.png").reshape(-1, 3), axis=0)) > 1000


def test_the_regions_of_a_segmenter_are_its_label_map(looked):
    _, looks = looked["segmenter"]
    assert sum(found.pixels.astype(int) for found in looks.found).tolist() == np.ones(WIDE, int).tolist()
    sizes = [int(found.pixels.sum()) for found in looks.found]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) > 1
    assert all(1 / len(NAMES) < found.score <= 1 for found in looks.found)


def test_a_region_looks_from_its_cells_as_often_as_it_has_pixels(looked):
    _, looks = looked["segmenter"]
    found = looks.found[-1]
    (weights,) = weights_of(looks, found, stage=0)
    down, across = (cells / side for cells, side in zip(weights.shape, WIDE, strict=True))
    expected = torch.zeros_like(weights)
    for y, x in np.argwhere(found.pixels) + 0.5:
        expected[int(y * down), int(x * across)] += 1 / found.pixels.sum()
    torch.testing.assert_close(weights, expected)


def test_a_classifier_looks_from_all_that_it_sees_and_maps_lie_over_that(looked):
    looker, looks = looked["classifier"]
    assert sorted(found.name for found in looks.found) == sorted(NAMES)
    assert sum(found.score for found in looks.found) == pytest.approx(1)
    left, top, right, bottom = looks.found[0].box
    assert (left, right) == pytest.approx((44.4, 115.6), abs=0.6)
    assert (top, bottom) == pytest.approx((4.4, 75.6), abs=0.6)
    weights = weights_of(looks, looks.found[0], stage=2)
    assert weights.unique().tolist() == [pytest.approx(1 / weights.numel())]
    (made,) = explain(looker, looks, looks.found[0], ["rollout"])
    assert made.corner == (left, top)
    pixels = over_pixels(made, *WIDE)
    assert (pixels[:, :44] == -1).all()
    assert (pixels[6:74, 46:114] >= 0).all()


def test_what_a_classifier_is_asked_about_need_not_be_what_it_says(looked):
    looker, looks = looked["classifier"]
    last = looks.found[-1]
    assert looker.look(scene(), name=last.name).found == [last]
    maps = [looker.gradient(looks, found, 2, whole_map=False) for found in (looks.found[0], last)]
    assert not torch.equal(*maps)


@pytest.mark.parametrize("name", ["segmenter", "classifier"])
def test_the_table_of_faithfulness_of_each(checkpoints, image, name, capsys, monkeypatch):
    monkeypatch.setattr("maxvit_mm.inference.faithfulness.faithfulness_of.__defaults__", (2,))
    main([str(checkpoints[name]), str(image), "--faithfulness", "--maps", "local", "--class", NAMES[0]])
    first, *table = capsys.readouterr().out.splitlines()[-7:]
    assert first == "1 found in 1 images, stage 3; 1 is the score of the whole image"
    assert [line.split(" | ")[0] for line in table[2:3]] == ["| local"]


def test_a_place_that_is_cut_off_and_a_class_that_is_not_there_are_refused(checkpoints, image):
    said = refusal(main, checkpoints["classifier"], image, "--at", "10,40")
    assert said == "(10, 40) is outside the part of the image that the network sees"
    said = refusal(main, checkpoints["segmenter"], image, "--class", "cat")
    assert said == "there is no class cat; there are ground, disk, square"
    said = refusal(main, checkpoints["classifier"], image, "--score-thr", "1")
    assert said.startswith("nothing was found with a score of 1 or more: lower --score-thr")


def test_a_segmenter_that_slides_is_refused_where_it_needs_several_windows(image, tmp_path):
    slides = save(
        segmenter_config(mode="slide", crop_size=(64, 64), stride=(48, 48)), tmp_path / "slides.pth"
    )
    said = refusal(main, slides, image)
    assert "sees this image through a sliding window" in said
    assert "test_cfg.mode='whole'" in said
