"""A config pointed at a folder reads that folder, and counts its classes."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from mmengine import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from maxvit_mm.data.coco_folder import CocoFolder, DataError, Split, inspect
from maxvit_mm.data.images_on_disk import Decoder
from maxvit_mm.data.left_out import Filter
from maxvit_mm.openmmlab.coco_by_name import by_name
from maxvit_mm.openmmlab.loaders import decoder_of
from maxvit_mm.openmmlab.retarget import filter_of, point_config_at, read_by_name

ROOT = Path("data/fish")
FISH = CocoFolder(
    ROOT,
    {
        "train": Split(ROOT / "train/_annotations.coco.json", ROOT / "train"),
        "val": Split(ROOT / "valid/_annotations.coco.json", ROOT / "valid"),
    },
    ("cod", "eel", "ray"),
)


def config(**changes):
    """What a config for Mask R-CNN on COCO sets, without what does not matter here."""
    dataset = {
        "type": "CocoDataset",
        "data_root": "data/coco/",
        "ann_file": "annotations/instances_train2017.json",
        "data_prefix": {"img": "train2017/", "seg": "stuffthingmaps/train2017/"},
        "filter_cfg": {"filter_empty_gt": True, "min_size": 32},
        "pipeline": [{"type": "LoadImageFromFile"}],
    }
    evaluator = {"type": "CocoMetric", "ann_file": "data/coco/annotations/instances_val2017.json"}
    heads = {"bbox_head": {"num_classes": 80}, "mask_head": [{"num_classes": 80}]}
    settings = {
        "model": {"type": "MaskRCNN", "roi_head": heads},
        "train_dataloader": {"batch_size": 2, "dataset": dataset},
        "val_dataloader": {"batch_size": 1, "dataset": dataset},
        "test_dataloader": {"batch_size": 1, "dataset": dataset},
        "val_evaluator": evaluator,
        "test_evaluator": [evaluator, {"type": "DumpDetResults", "out_file_path": "out.pkl"}],
    }
    return Config(deepcopy(settings | changes))


def test_each_dataloader_reads_its_split():
    cfg = config()
    point_config_at(cfg, FISH)
    for role, split in (("train", "train"), ("val", "valid"), ("test", "valid")):
        dataset = cfg[f"{role}_dataloader"].dataset
        assert dataset.data_root == "data/fish"
        assert dataset.ann_file == f"{split}/_annotations.coco.json"
        assert dataset.data_prefix == {"img": split}
        assert dataset.metainfo.classes == ("cod", "eel", "ray")


def test_what_is_not_about_the_folder_stays():
    cfg, before = config(), config()
    point_config_at(cfg, FISH)
    for key in ("pipeline", "filter_cfg"):
        assert cfg.train_dataloader.dataset[key] == before.train_dataloader.dataset[key]
    assert cfg.train_dataloader.batch_size == 2


def test_evaluators_alone_or_in_a_list_read_the_val_split():
    cfg = config()
    point_config_at(cfg, FISH)
    assert cfg.val_evaluator.ann_file == "data/fish/valid/_annotations.coco.json"
    assert cfg.test_evaluator[0].ann_file == "data/fish/valid/_annotations.coco.json"
    assert "ann_file" not in cfg.test_evaluator[1]


def test_every_class_count_is_set():
    cfg = config()
    point_config_at(cfg, FISH)
    assert cfg.model.roi_head.bbox_head.num_classes == 3
    assert cfg.model.roi_head.mask_head[0].num_classes == 3


def test_a_query_head_counts_things_and_weighs_each_class_as_before():
    loss = {"use_sigmoid": False, "class_weight": [1.0] * 80 + [0.1]}
    head = {"num_things_classes": 80, "num_stuff_classes": 53, "loss_cls": loss}
    cfg = config(model={"panoptic_head": head})
    point_config_at(cfg, FISH)
    head = cfg.model.panoptic_head
    assert (head.num_things_classes, head.num_stuff_classes) == (3, 0)
    assert head.loss_cls.class_weight == [1.0, 1.0, 1.0, 0.1]


def test_weights_meant_for_other_classes_are_refused():
    head = {"num_classes": 2, "loss_cls": {"class_weight": [1.0, 5.0, 0.1]}}
    with pytest.raises(DataError, match="class_weight differs by class"):
        point_config_at(config(model={"head": head}), FISH)


def test_wrapped_datasets_are_found_and_a_joined_one_counts_once():
    plain = config().train_dataloader.dataset.to_dict() | {"type": "LVISV1Dataset"}
    joined = {"type": "ConcatDataset", "datasets": [plain, plain]}
    wrapped = {"type": "RepeatDataset", "times": 3, "dataset": joined}
    cfg = config(train_dataloader={"dataset": wrapped})
    point_config_at(cfg, FISH)
    (dataset,) = cfg.train_dataloader.dataset.dataset.datasets
    assert (dataset.type, dataset.data_root) == (by_name("CocoDataset"), "data/fish")


def test_colours_are_as_many_as_classes_and_all_different():
    many = CocoFolder(ROOT, FISH.splits, tuple(map(str, range(80))))
    cfg = config()
    point_config_at(cfg, many)
    assert len(set(map(tuple, cfg.train_dataloader.dataset.metainfo.palette))) == 80


@pytest.mark.parametrize(
    "changes",
    [
        {"train_dataloader": {"dataset": {"type": "CocoPanopticDataset", "ann_file": "a.json"}}},
        {"val_evaluator": [{"type": "CocoPanopticMetric", "ann_file": "a.json"}]},
        {"test_evaluator": {"type": "VOCMetric"}},
    ],
)
def test_a_config_of_another_task_or_metric_is_refused(changes):
    with pytest.raises(DataError, match="cannot read the COCO instances"):
        point_config_at(config(**changes), FISH)


def test_a_model_without_a_class_count_is_refused():
    with pytest.raises(DataError, match="no num_classes"):
        point_config_at(config(model={"type": "RPN"}), FISH)


def test_a_dataloader_without_annotations_is_refused():
    cfg = config(val_dataloader={"dataset": {"type": "Images"}})
    with pytest.raises(DataError, match="val_dataloader has no dataset"):
        point_config_at(cfg, FISH)


def test_testing_leaves_the_train_split_alone():
    cfg, before = config(), config()
    read_by_name(before)
    point_config_at(cfg, CocoFolder(ROOT, {"val": FISH.splits["val"]}, FISH.classes))
    assert cfg.train_dataloader == before.train_dataloader


def test_a_test_split_feeds_the_test_alone():
    cfg = config()
    split = Split(ROOT / "test/_annotations.coco.json", ROOT / "test")
    point_config_at(cfg, CocoFolder(ROOT, {"test": split}, FISH.classes))
    assert cfg.test_dataloader.dataset.ann_file == "test/_annotations.coco.json"
    assert cfg.test_evaluator[0].ann_file == "data/fish/test/_annotations.coco.json"
    assert cfg.val_dataloader.dataset.ann_file == config().val_dataloader.dataset.ann_file


def test_cocos_files_are_read_by_name_and_others_as_they_are():
    cfg = config()
    cfg.train_dataloader.dataset.type = "LVISV1Dataset"
    cfg.val_dataloader.dataset.type = "mmdet.CocoDataset"
    read_by_name(cfg)
    assert cfg.train_dataloader.dataset.type == "LVISV1Dataset"
    assert cfg.val_dataloader.dataset.type == by_name("CocoDataset")
    assert [each.type for each in cfg.test_evaluator] == [by_name("CocoMetric"), "DumpDetResults"]


def test_what_decodes_and_what_is_left_out_are_read_off_the_config():
    cfg = config()
    assert decoder_of(cfg) == Decoder("cv2", "color")
    assert filter_of(cfg) == Filter(empty=True, smaller_side=32)
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [{"type": "mmdet.LoadImageFromFile", "imdecode_backend": "pillow"}]
    dataset.filter_cfg = None
    assert decoder_of(cfg) == Decoder("pillow", "color")
    assert filter_of(cfg) == Filter(empty=False, smaller_side=0)


@pytest.mark.parametrize("folder", [".", "images"])
def test_mmdetection_reads_what_was_set(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    Image.new("RGB", (64, 48)).save(tmp_path / folder / "a.png")
    square = {"image_id": 1, "bbox": [1, 2, 30, 40], "area": 1200, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "categories": [{"id": 9, "name": "eel"}, {"id": 4, "name": "cod"}],
        "annotations": [
            {"id": 1, "category_id": 4, **square},
            {"id": 2, "category_id": 9, **square},
        ],
    }
    for split in ("train", "val"):
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    cfg = config()
    point_config_at(cfg, inspect(tmp_path, masks=False))

    init_default_scope("mmdet")
    dataset = DATASETS.build(cfg.train_dataloader.dataset)

    assert dataset.metainfo["classes"] == ("eel", "cod")
    (data,) = (dataset.get_data_info(i) for i in range(len(dataset)))
    assert Path(data["img_path"]).is_file()
    assert [instance["bbox_label"] for instance in data["instances"]] == [1, 0]
    assert dataset[0]["img"].shape == (48, 64, 3)
