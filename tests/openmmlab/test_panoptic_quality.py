"""The stand-in for panopticapi: worked by hand, through MMDetection's own matching."""

import sys
from types import ModuleType

import cv2
import numpy as np
import pytest
from mmdet.evaluation.functional import panoptic_utils, pq_compute_single_core
from mmdet.evaluation.metrics import coco_panoptic_metric

from maxvit_mm.openmmlab import panoptic_quality
from maxvit_mm.openmmlab.panoptic_quality import OFFSET, PQStat, id2rgb, install, rgb2id

CATEGORIES = {1: {"isthing": 1}, 2: {"isthing": 1}, 9: {"isthing": 0}}
CAR, TREE, SKY = CATEGORIES


def test_an_id_is_the_same_after_a_round_trip_through_colours():
    ids = np.array([[0, 1, 255, 256], [65_535, 65_536, 9_000_000, OFFSET - 1]])
    assert (rgb2id(id2rgb(ids)) == ids).all()
    assert id2rgb(ids).shape == (2, 4, 3)
    assert (id2rgb(ids).dtype, rgb2id(id2rgb(ids)).dtype) == (np.uint8, np.int32)


def test_red_counts_one_green_256_and_blue_65536():
    assert rgb2id(np.uint8([[1, 2, 3]])).tolist() == [1 + 2 * 256 + 3 * 65_536]
    assert id2rgb(1 + 2 * 256 + 3 * 65_536).tolist() == [1, 2, 3]


@pytest.fixture
def compare(tmp_path):
    """Compare a line of pixels, each the id of a segment: {id: category} of truth and prediction."""

    def written(folder, ids, segments, crowd=()):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "1.png"), id2rgb(np.array([ids]))[..., ::-1])
        infos = [
            dict(id=i, category_id=category, iscrowd=int(i in crowd), area=ids.count(i))
            for i, category in segments.items()
        ]
        return dict(image_id=1, file_name="1.png", segments_info=infos)

    def compared(truth, true_segments, found, found_segments, crowd=()):
        pair = written("truth", truth, true_segments, crowd), written("found", found, found_segments)
        return pq_compute_single_core(0, [pair], tmp_path / "truth", tmp_path / "found", CATEGORIES)

    return compared


def test_a_perfect_prediction_has_quality_one(compare):
    stat = compare([7, 7, 8, 8], {7: CAR, 8: SKY}, [5, 5, 300, 300], {5: CAR, 300: SKY})
    mean, each = stat.pq_average(CATEGORIES, isthing=None)
    assert mean == {"pq": 1, "sq": 1, "rq": 1, "n": 2}
    assert each[TREE] == {"pq": 0, "sq": 0, "rq": 0}  # in no image: not in the mean


def test_quality_is_that_of_matched_segments_times_their_share(compare):
    """Of 4 pixels of one car 3 are found, another car is missed, and a third is made up."""
    truth, found = [1, 1, 1, 1, 2, 2, 3, 3, 3, 3], [5, 5, 5, 8, 8, 8, 6, 6, 8, 8]
    stat = compare(truth, {1: CAR, 2: CAR, 3: SKY}, found, {5: CAR, 6: CAR, 8: SKY})
    _, each = stat.pq_average(CATEGORIES, isthing=None)
    assert each[CAR] == {"pq": 0.75 / 2, "sq": 0.75, "rq": 1 / 2}  # one matched, one missed, one made up
    assert each[SKY] == {"pq": 0, "sq": 0, "rq": 0}  # an IoU of 2 / 7
    assert (stat[CAR].tp, stat[CAR].fp, stat[CAR].fn) == (1, 1, 1)
    assert (stat[SKY].tp, stat[SKY].fp, stat[SKY].fn) == (0, 1, 1)


def test_half_an_overlap_is_no_match(compare):
    stat = compare([1, 1, 0, 0], {1: CAR}, [5, 0, 0, 0], {5: CAR})
    assert (stat[CAR].tp, stat[CAR].fp, stat[CAR].fn) == (0, 1, 1)


def test_the_right_place_with_the_wrong_class_is_missed_and_made_up(compare):
    stat = compare([1, 1], {1: CAR}, [5, 5], {5: TREE})
    assert (stat[CAR].fn, stat[TREE].fp) == (1, 1)


def test_void_pixels_of_the_truth_count_in_no_union(compare):
    stat = compare([1, 1, 1, 0, 0], {1: CAR}, [5, 5, 5, 5, 5], {5: CAR})
    assert stat.pq_average(CATEGORIES, isthing=True)[0]["pq"] == 1


@pytest.mark.parametrize(("void", "made_up"), [(3, 0), (2, 1)])
def test_a_segment_that_lies_mostly_on_void_is_not_made_up(compare, void, made_up):
    truth = [0] * void + [1] * (4 - void) + [1] * 8
    stat = compare(truth, {1: SKY}, [5] * 4 + [8] * 8, {5: CAR, 8: SKY})
    assert stat[CAR].fp == made_up


@pytest.mark.parametrize(("category", "made_up"), [(CAR, 0), (TREE, 1)])
def test_a_crowd_is_neither_missed_nor_are_its_members_made_up(compare, category, made_up):
    stat = compare(
        [1] * 6 + [3] * 2, {1: CAR, 3: SKY}, [5] * 3 + [0] * 3 + [8] * 2, {5: category, 8: SKY}, [1]
    )
    assert stat[CAR].fn == 0
    assert stat[category].fp == made_up


def tally(stat, category, iou, tp, fp, fn):
    stat[category].iou, stat[category].tp, stat[category].fp, stat[category].fn = iou, tp, fp, fn


def test_images_are_summed_before_they_are_divided_and_classes_weigh_alike():
    one, other = PQStat(), PQStat()
    tally(one, CAR, 1.6, 2, 0, 0)
    tally(other, CAR, 0.8, 1, 1, 1)
    tally(other, SKY, 0.5, 1, 0, 2)
    one += other
    mean, each = one.pq_average(CATEGORIES, isthing=None)
    assert each[CAR] == pytest.approx({"pq": 2.4 / 4, "sq": 0.8, "rq": 3 / 4})
    assert each[SKY] == pytest.approx({"pq": 0.25, "sq": 0.5, "rq": 0.5})
    assert mean == pytest.approx({"pq": 0.425, "sq": 0.65, "rq": 0.625, "n": 2})
    assert one.pq_average(CATEGORIES, isthing=True)[0]["pq"] == pytest.approx(0.6)
    assert one.pq_average(CATEGORIES, isthing=False)[0]["pq"] == pytest.approx(0.25)


def test_where_no_class_was_seen_there_is_no_quality():
    mean, _ = PQStat().pq_average(CATEGORIES, isthing=None)
    assert mean["n"] == 0
    assert np.isnan(mean["pq"])


@pytest.fixture
def absent(monkeypatch):
    """No panopticapi has been imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "panopticapi"]:
        monkeypatch.delitem(sys.modules, name)


def test_the_package_itself_is_left_alone_where_it_is_installed(absent, monkeypatch):
    monkeypatch.setattr(panoptic_quality, "find_spec", lambda name: object())
    install()
    assert "panopticapi" not in sys.modules
    theirs = ModuleType("panopticapi")
    monkeypatch.setitem(sys.modules, "panopticapi", theirs)  # imported already
    monkeypatch.setattr(panoptic_quality, "find_spec", lambda name: None)
    install()
    assert sys.modules["panopticapi"] is theirs


def test_modules_of_mmdetection_that_came_first_are_given_what_they_lack(absent, monkeypatch):
    early = ModuleType("mmdet.early")
    early.rgb2id, early.panopticapi, early.VOID, early.other = None, None, 0, None
    monkeypatch.setitem(sys.modules, "mmdet.early", early)
    install()
    import panopticapi.utils

    assert early.rgb2id is panopticapi.utils.rgb2id is rgb2id
    assert (early.panopticapi, early.VOID, early.other) == (panopticapi, 0, None)
    assert not hasattr(early, "PQStat")


def test_importing_maxvit_mm_is_enough():
    assert panoptic_utils.PQStat is PQStat
    assert panoptic_utils.rgb2id is coco_panoptic_metric.rgb2id is rgb2id
