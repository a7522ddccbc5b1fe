import json
from itertools import chain

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle

from maxvit_mm.data import scenes
from maxvit_mm.data.scenes import CLASSES, lay_out
from maxvit_mm.data.shapes import SPLITS, STAMP, STUFF, annotate, make_shapes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_shapes(tmp_path_factory.mktemp("data") / "shapes", train=8, val=4)


@pytest.fixture(scope="module")
def many():
    """The annotations of each of a hundred images that are laid out but not painted."""
    return [annotate(lay_out(np.random.default_rng(seed))) for seed in range(100)]


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def coco(folder, split):
    return json.loads((folder / "annotations" / f"instances_{split}.json").read_text())


def test_the_layout_is_cocos(data):
    for split, count in zip(SPLITS, (8, 4), strict=True):
        found = coco(data, split)
        assert [category["name"] for category in found["categories"]] == list(CLASSES)
        names = {image["file_name"] for image in found["images"]}
        assert names == {path.name for path in (data / split).iterdir()}
        assert len(names) == count


def test_the_panoptic_maps_say_what_the_instances_say_and_that_the_rest_is_background(data):
    for split in SPLITS:
        instances = coco(data, split)
        panoptic = json.loads((data / "annotations" / f"panoptic_{split}.json").read_text())
        assert panoptic["images"] == instances["images"]
        things = [each["name"] for each in panoptic["categories"] if each["isthing"]]
        assert things == [each["name"] for each in instances["categories"]] == list(CLASSES)
        assert [each["name"] for each in panoptic["categories"] if not each["isthing"]] == list(STUFF)
        for annotation in panoptic["annotations"]:
            png = cv2.imread(str(data / "annotations" / f"panoptic_{split}" / annotation["file_name"]))
            ids = png.astype(int) @ [256**2, 256, 1]  # blue comes first
            background, *shapes = annotation["segments_info"]
            own = [a for a in instances["annotations"] if a["image_id"] == annotation["image_id"]]
            assert len(own) == len(shapes)
            for shape, instance in zip(shapes, own, strict=True):
                assert (rle.decode(instance["segmentation"]) == (ids == shape["id"])).all()
                for key in ("category_id", "area", "bbox"):
                    assert shape[key] == instance[key]
            assert set(np.unique(ids)) == {each["id"] for each in annotation["segments_info"]}  # and no void
            assert background["area"] == (ids == background["id"]).sum()
            assert background["category_id"] == len(CLASSES) + 1


def test_the_same_seed_gives_the_same_bytes(data, tmp_path):
    assert contents(make_shapes(tmp_path / "again", train=8, val=4)) == contents(data)


def test_another_seed_shares_no_image(data, tmp_path):
    other = make_shapes(tmp_path / "other", train=8, val=4, seed=1)
    images = [{path.read_bytes() for path in folder.rglob("*.jpg")} for folder in (data, other)]
    assert len(images[0] | images[1]) == 24


def test_train_and_val_share_no_image(data):
    train, val = ({path.read_bytes() for path in (data / split).iterdir()} for split in SPLITS)
    assert not train & val


def test_an_image_does_not_depend_on_how_many_there_are(data, tmp_path):
    fewer = make_shapes(tmp_path / "fewer", train=2, val=1)
    first = f"{SPLITS[1]}/000000000001.jpg"
    assert (fewer / first).read_bytes() == (data / first).read_bytes()


def test_no_pixel_has_two_owners(many):
    for annotations in filter(None, many):
        masks = rle.decode([a["segmentation"] for a in annotations])
        assert masks.sum(axis=2).max() == 1


def test_box_and_area_are_those_of_the_visible_mask(many):
    for annotation in chain(*many):
        rows, columns = np.nonzero(rle.decode(annotation["segmentation"]))
        x, y, width, height = annotation["bbox"]
        assert (x, x + width) == (columns.min(), columns.max() + 1)
        assert (y, y + height) == (rows.min(), rows.max() + 1)
        assert annotation["area"] == len(rows) >= scenes.VISIBLE_PIXELS


def test_a_shape_shows_most_of_itself_and_many_hide_a_part():
    shown = []
    for seed in range(40):
        shapes, owner = lay_out(np.random.default_rng(seed))
        shown += [(owner == k).sum() / shape.size**2 for k, shape in enumerate(shapes, start=1)]
    assert min(shown) >= scenes.VISIBLE_SHARE
    assert np.mean(np.array(shown) < 0.97) > 0.2  # a rasterised outline differs from its area by less


def test_most_images_show_several_shapes():
    counts = [len(lay_out(np.random.default_rng(seed)).shapes) for seed in range(60)]
    assert np.mean(counts) > 2
    assert np.mean(np.array(counts) > 1) > 0.75


def test_every_class_is_there_in_every_size(many):
    seen = {(a["category_id"], "sml"[(a["area"] >= 32**2) + (a["area"] > 96**2)]) for a in chain(*many)}
    # Only a star of COCO's large size may be missing: its points seldom find room.
    large_star = (1 + CLASSES.index("star"), "l")
    assert seen | {large_star} == {(1 + i, size) for i in range(len(CLASSES)) for size in "sml"}


def test_one_image_in_25_is_empty(tmp_path):
    found = coco(make_shapes(tmp_path, train=25, val=1), SPLITS[0])
    filled = {annotation["image_id"] for annotation in found["annotations"]}
    assert {image["id"] for image in found["images"]} - filled == {25}


def test_a_second_call_touches_nothing(data):
    before = {path: path.stat().st_mtime_ns for path in [data, *data.rglob("*")]}
    make_shapes(data, train=8, val=4)
    assert {path: path.stat().st_mtime_ns for path in [data, *data.rglob("*")]} == before


def test_a_set_of_other_parameters_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    make_shapes(tmp_path / "shapes", train=3, val=1)
    make_shapes(tmp_path / "shapes", train=2, val=1)
    assert len(coco(tmp_path / "shapes", SPLITS[0])["images"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["shapes"]


def test_a_half_made_set_is_mended(tmp_path):
    whole = contents(make_shapes(tmp_path, train=2, val=1))
    (tmp_path / SPLITS[0] / "000000000002.jpg").unlink()
    assert contents(make_shapes(tmp_path, train=2, val=1)) == whole


@pytest.mark.parametrize("stamped", [False, True], ids=["foreign", "ours with a foreign file"])
def test_a_foreign_file_is_refused_and_untouched(tmp_path, stamped):
    if stamped:
        make_shapes(tmp_path, train=1, val=1)
    (tmp_path / "thesis.tex").write_text("years of work")
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match=r"thesis\.tex is no part of this data set"):
        make_shapes(tmp_path, train=2, val=1)
    assert contents(tmp_path) == before
    assert (STAMP in {path.name for path in before}) == stamped


def test_a_file_in_the_folders_place_is_refused_and_untouched(tmp_path):
    (tmp_path / "shapes").write_text("years of work")
    with pytest.raises(FileExistsError, match="choose a new or empty folder"):
        make_shapes(tmp_path / "shapes", train=1, val=1)
    assert (tmp_path / "shapes").read_text() == "years of work"


def test_a_failed_run_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("maxvit_mm.data.shapes.paint", fail)
    with pytest.raises(OSError, match="disk full"):
        make_shapes(tmp_path / "shapes", train=1, val=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"train": 0}, {"val": 0}, {"seed": -1}])
def test_counts_and_seeds_that_make_no_sense_are_named(tmp_path, wrong):
    with pytest.raises(ValueError, match="an image or more a split"):
        make_shapes(tmp_path, **wrong)
