"""Label maps as a segmenter reads them: of label images, and of the objects in COCO's format."""

import json

import numpy as np
import pytest
from conftest import ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from maxvit_mm.data.folder import DataError
from maxvit_mm.openmmlab.tasks.segmentation import Segmentation

pytest.importorskip("mmseg")
from mmseg.registry import DATASETS

PICO = ROOT / "configs/segmentation/upernet_maxvit_pico_shapes.py"
ADE20K = ROOT / "configs/segmentation/upernet_maxvit_t_ade20k.py"
VOC = ROOT / "configs/segmentation/fpn_maxvit_s_512_voc.py"
TASK = Segmentation()


def square(number, category, left, side, **others):
    """An object of `side` pixels, from `left` pixels on, at the top of its image."""
    right = left + side
    polygon = [left, 0, right, 0, right, side, left, side]
    box = dict(bbox=[left, 0, side, side], area=side * side, segmentation=[polygon])
    return dict(id=number, image_id=1, category_id=category, iscrowd=0, **box) | others


@pytest.fixture
def objects(tmp_path):
    """A COCO folder: a cat, a smaller dog that covers a part of it, a crowd of dogs."""
    crowd = dict(segmentation=dict(size=[40, 60], counts=[40 * 50, 40 * 10]), iscrowd=1)
    content = {
        "images": [{"id": 1, "file_name": "1.png", "width": 60, "height": 40}],
        "annotations": [
            square(1, 7, left=20, side=10),
            square(2, 3, left=0, side=30),
            square(3, 7, left=50, side=10, area=400, bbox=[50, 0, 10, 40]) | crowd,
        ],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        Image.new("RGB", (60, 40)).save(tmp_path / split / "1.png")
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    return tmp_path


def pointed(config, root, classes=None):
    init_default_scope("mmseg")
    cfg = Config.fromfile(config)
    folder = TASK.inspect(root, cfg, ("train", "val"))
    folder = folder.only(classes) if classes else folder
    TASK.point(cfg, folder)
    return cfg, folder


def truth(cfg, role="val", item=0):
    """The label map of an item, [height, width]."""
    dataset = DATASETS.build(cfg[f"{role}_dataloader"].dataset)
    return dataset[item]["data_samples"].gt_sem_seg.data[0].numpy()


def test_objects_are_painted_the_smaller_in_front_and_crowds_are_ignored(objects):
    cfg, folder = pointed(PICO, objects)
    assert folder.classes == ("background", "dog", "cat")
    expected = np.zeros((40, 60), np.int64)
    expected[:30, :30] = 2
    expected[:10, 20:30] = 1
    expected[:, 50:] = 255
    assert (truth(cfg) == expected).all()
    assert cfg.model.decode_head.num_classes == cfg.model.auxiliary_head.num_classes == 3
    said = folder.describe()
    assert (
        "what none covers is background, one more class; where they overlap, the smaller is in front" in said
    )


def test_objects_of_other_classes_are_background(objects):
    cfg, folder = pointed(PICO, objects, ["cat"])
    assert folder.classes == ("background", "cat")
    found = truth(cfg)
    assert np.unique(found).tolist() == [0, 1]
    assert found.sum() == 900  # all of the cat: the dog in front of it is not learnt


def test_labels_follow_the_names_of_classes_and_unknown_ones_are_refused(objects):
    cfg, _ = pointed(PICO, objects)
    dataset = cfg.val_dataloader.dataset
    dataset.metainfo = dict(classes=("cat", "background", "dog"))
    assert np.unique(truth(cfg)).tolist() == [0, 1, 2, 255]
    dataset.metainfo = dict(classes=("background", "bird"))
    with pytest.raises(ValueError, match=r"val\.json has no class named bird"):
        truth(cfg)


def test_the_embedded_shapes_are_read_as_they_are(shapes, monkeypatch):
    init_default_scope("mmseg")
    cfg = Config.fromfile(PICO)
    for role in ("train", "val"):
        cfg[f"{role}_dataloader"].dataset.data_root = str(shapes)
    coco = json.loads((shapes / "annotations/instances_val2017.json").read_text())
    for item, image in enumerate(coco["images"]):
        found = truth(cfg, item=item)
        assert found.shape == (image["height"], image["width"])
        own = [each for each in coco["annotations"] if each["image_id"] == image["id"]]
        counts = {1 + each["category_id"]: 0 for each in own}
        for each in own:  # visible parts, which do not overlap
            counts[1 + each["category_id"]] += each["area"]
        assert {label - 1: (found == label - 1).sum() for label in counts} == {
            label - 1: count for label, count in counts.items()
        }
    assert truth(cfg, "train").shape <= (160, 160)


def pairs(root, values, names=None):
    for split, colour in ("train", "black"), ("val", "white"):
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True)
        Image.new("RGB", (64, 48), colour).save(root / "images" / split / "a.jpg")
        columns = np.repeat(values, 64 // len(values))
        tile = np.broadcast_to(columns, (48, 64)).astype(np.uint8)
        Image.fromarray(tile).save(root / "labels" / split / "a.png")
    if names is not None:
        (root / "classes.json").write_text(json.dumps(names))
    return root


@pytest.mark.parametrize("config", [PICO, ADE20K, VOC])
def test_any_config_reads_any_folder_of_label_images(tmp_path, config):
    """ADE20K's config takes 1 from its numbers, VOC's has two data sets and lists: neither is left."""
    cfg, folder = pointed(config, pairs(tmp_path, [0, 7, 9, 255], {"7": "road", "9": "car", "0": "sky"}))
    assert folder.classes == ("sky", "road", "car")
    assert truth(cfg)[0, ::16].tolist() == [0, 1, 2, 255]
    assert set(np.unique(truth(cfg, "train"))) <= {0, 1, 2, 255}
    assert cfg.model.decode_head.num_classes == 3
    assert TASK.survey(cfg, folder)[:3] == (1, 64, 48)
    again = Config.fromstring(cfg.pretty_text, ".py")
    assert truth(again)[0, ::16].tolist() == [0, 1, 2, 255]


def test_vocs_config_knows_the_names_that_vocs_folder_does_not_have(tmp_path):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for split, colour in ("train", "black"), ("val", "white"):
        Image.new("RGB", (64, 48), colour).save(tmp_path / f"JPEGImages/{split}.jpg")
        Image.fromarray(np.full((48, 64), 15, np.uint8)).save(tmp_path / f"SegmentationClass/{split}.png")
        (tmp_path / f"ImageSets/Segmentation/{split}.txt").write_text(f"{split}\n")
    cfg, folder = pointed(VOC, tmp_path)
    assert (len(folder.classes), folder.classes[15]) == (21, "person")
    assert np.unique(truth(cfg)).tolist() == [15]
    assert TASK.inspect(tmp_path, cfg, ["val"]).classes == folder.classes  # as what it was trained


def test_label_images_go_before_annotations_of_objects(objects):
    pairs(objects, [0, 1])
    assert TASK.inspect(objects, Config(), ("train", "val")).classes == ("class 0", "class 1")
    assert TASK.find_split(objects, "train") == objects / "labels/train"


def test_a_folder_of_neither_is_refused_with_what_was_looked_for(tmp_path):
    with pytest.raises(DataError) as error:
        TASK.inspect(tmp_path, Config(), ("train", "val"))
    said = str(error.value)
    assert "has neither label images nor annotations in COCO's format for train and val" in said
    assert "images/train with annotations/train" in said
    assert "annotations/instances_train2017.json" in said
    with pytest.raises(DataError, match="is not a folder"):
        TASK.inspect(tmp_path / "absent", Config(), ("train",))


def test_objects_without_masks_are_refused(objects):
    for split in ("train", "val"):
        content = json.loads((objects / f"{split}.json").read_text())
        for annotation in content["annotations"]:
            del annotation["segmentation"]
        (objects / f"{split}.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="have no segmentation, though the model trains masks"):
        TASK.inspect(objects, Config(), ("train", "val"))


def test_a_metric_of_other_data_is_refused(tmp_path):
    init_default_scope("mmseg")
    cfg = Config.fromfile(PICO)
    cfg.val_evaluator = dict(type="CityscapesMetric")
    folder = TASK.inspect(pairs(tmp_path, [0, 1]), cfg, ("train", "val"))
    with pytest.raises(DataError, match="CityscapesMetric cannot evaluate the label maps of"):
        TASK.point(cfg, folder)
