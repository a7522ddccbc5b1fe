"""Images sorted by class as MMPretrain's data set: labels by the names of classes, in every layout."""

import pytest
from mmengine.registry import DATASETS
from PIL import Image

from maxvit_mm.openmmlab.tasks.classification import DATASET, within

pytest.importorskip("mmpretrain", reason="the extra [classification] is not installed")


@pytest.fixture
def root(tmp_path):
    for split in ("train", "val"):
        for name in ("cat", "dog", "hen"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(2):
                Image.new("RGB", (40, 40)).save(tmp_path / split / name / f"{i}.jpg")
    return tmp_path


def build(root, **arguments):
    return DATASETS.build(dict(type=DATASET, data_root=str(root), **arguments))


def labels(dataset):
    return [dataset.get_data_info(i)["gt_label"] for i in range(len(dataset))]


def test_labels_follow_the_sorted_names(root):
    dataset = build(root, split="val")
    assert dataset.metainfo["classes"] == ("cat", "dog", "hen")
    assert labels(dataset) == [0, 0, 1, 1, 2, 2]
    assert dataset.get_data_info(2)["img_path"] == str(root / "val/dog/0.jpg")


def test_labels_follow_the_configs_names_where_it_has_them(root):
    dataset = build(root, split="train", metainfo=dict(classes=("hen", "cat")))
    assert labels(dataset) == [1, 1, 0, 0]  # cats, then hens; dogs are left out


def test_one_tree_is_parted_by_the_seed(root):
    sides = [build(root / "train", split=split, seed=3) for split in ("train", "val")]
    assert [len(side) for side in sides] == [3, 3]
    assert len({side.get_data_info(i)["img_path"] for side in sides for i in range(3)}) == 6


def test_a_split_that_is_not_there_is_named(root):
    with pytest.raises(FileNotFoundError, match="no images sorted by class for test"):
        build(root, split="test")


def test_of_the_best_only_so_many_count_as_are_fewer_than_the_classes():
    assert within((1, 5), 1000) == (1, 5)
    assert within((1, 5), 4) == within(5, 4) == within([1], 2) == (1,)
