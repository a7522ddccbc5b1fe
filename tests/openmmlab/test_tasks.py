"""What a command asks of a task, and what is read out of a config whatever its task."""

import json

import pytest
from mmengine.config import Config

from maxvit_mm.openmmlab.config_checks import check_model, require_data
from maxvit_mm.openmmlab.curves import draw_curves, read_log
from maxvit_mm.openmmlab.image_size import scale_of, set_scale
from maxvit_mm.openmmlab.loaders import dataset_configs
from maxvit_mm.openmmlab.shipped_configs import configs_of_ours, find_config
from maxvit_mm.openmmlab.tasks import TASKS, task_of

WIDTHS = [64, 128, 256, 512]


def segmenter() -> Config:
    pack, annotations = dict(type="PackSegInputs"), dict(type="LoadAnnotations")
    train = [
        dict(type="LoadImageFromFile"),
        annotations,
        dict(type="RandomResize", scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
        dict(type="RandomCrop", crop_size=(512, 512)),
        pack,
    ]
    test = [dict(type="LoadImageFromFile"), dict(type="Resize", scale=(2048, 512)), annotations, pack]
    prefix = dict(img_path="images/x", seg_map_path="annotations/x")
    dataset = dict(type="ADE20KDataset", data_root="data/ade", data_prefix=prefix)
    return Config(
        dict(
            default_scope="mmseg",
            model=dict(
                data_preprocessor=dict(type="SegDataPreProcessor", size=(512, 512)),
                test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(341, 341)),
            ),
            train_dataloader=dict(dataset=dict(**dataset, pipeline=train)),
            val_dataloader=dict(dataset=dict(**dataset, pipeline=test)),
            test_dataloader=dict(dataset=dict(**dataset, pipeline=test)),
        )
    )


def classifier() -> Config:
    load, pack = dict(type="LoadImageFromFile"), dict(type="PackInputs")
    train = [load, dict(type="RandomResizedCrop", scale=224), pack]
    test = [load, dict(type="ResizeEdge", scale=256, edge="short"), dict(type="CenterCrop", crop_size=224)]
    dataset = dict(type="ImageNet", data_root="data/imagenet", split="val")
    return Config(
        dict(
            default_scope="mmpretrain",
            model=dict(data_preprocessor=dict(num_classes=1000)),
            train_dataloader=dict(dataset=dict(**dataset, pipeline=train)),
            test_dataloader=dict(dataset=dict(**dataset, pipeline=[*test, pack])),
        )
    )


def test_a_config_names_its_task_by_its_scope():
    assert [task_of(Config(dict(default_scope=scope))).scope for scope in TASKS] == list(TASKS)
    assert task_of(Config(dict(model={}))).name == "detection"
    assert task_of(Config(dict(default_scope="mmyolo"))).name == "detection"  # MMDetection's kin


def test_the_leaves_of_wrapped_datasets_are_found_whether_they_have_annotation_files_or_not():
    leaves = [dict(type="ADE20KDataset", data_root="a"), dict(type="CustomDataset", data_prefix="b")]
    loader = dict(dataset=dict(type="RepeatDataset", dataset=dict(type="ConcatDataset", datasets=leaves)))
    assert list(dataset_configs(loader)) == leaves
    assert list(dataset_configs(None)) == list(dataset_configs(dict(batch_size=2))) == []


def test_a_segmenters_size_is_set_in_crops_padding_and_windows():
    cfg = segmenter()
    assert scale_of(cfg) == (2048, 512)
    set_scale(cfg, (1024, 256))
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps["RandomResize"].scale == (1024, 256)
    assert steps["RandomCrop"].crop_size == cfg.model.data_preprocessor["size"] == (256, 256)
    assert (cfg.model.test_cfg.crop_size, cfg.model.test_cfg.stride) == ((256, 256), (170, 170))
    assert scale_of(cfg) == (1024, 256)


def test_a_classifiers_size_is_set_in_all_crops():
    cfg = classifier()
    assert scale_of(cfg) == (224, 224)
    assert task_of(cfg).in_network(cfg, 640, 480) == (224, 224)
    set_scale(cfg, (112, 112))
    assert cfg.train_dataloader.dataset.pipeline[1].scale == 112
    assert [cfg.test_dataloader.dataset.pipeline[i].get(k) for i, k in ((1, "scale"), (2, "crop_size"))] == [
        128,
        112,
    ]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (dict(decode_head=dict(in_channels=[96, 192, 384, 768])), r"decode_head.in_channels=\[64, 128"),
        (
            dict(decode_head=dict(in_channels=[64, 128], in_index=[2, 3])),
            r"decode_head.in_channels=\[256, 512\]",
        ),
        (dict(auxiliary_head=dict(in_channels=384, in_index=2)), "auxiliary_head.in_channels=256"),
        (
            dict(auxiliary_head=[dict(in_channels=256, in_index=2), dict(in_channels=9)]),
            "auxiliary_head.1.in",
        ),
        (dict(decode_head=dict(in_channels=64, in_index=7)), "in_index is 7, and this backbone has 4 maps"),
        (dict(head=dict(in_channels=768)), "head.in_channels=512"),
        (dict(neck=dict(in_channels=[1, 2, 3, 4]), decode_head=dict(in_channels=9)), "neck.in_channels=."),
    ],
)
def test_a_head_that_does_not_fit_the_backbone_is_refused(model, says):
    with pytest.raises(SystemExit, match=says):
        check_model(dict(backbone=dict(type="MaxViT"), **model))


def test_heads_that_fit_are_taken():
    heads = dict(
        decode_head=dict(in_channels=WIDTHS, in_index=[0, 1, 2, 3]),
        auxiliary_head=dict(in_channels=256, in_index=2),
    )
    check_model(dict(backbone=dict(type="MaxViT"), **heads))
    check_model(
        dict(backbone=dict(type="MaxViT"), neck=dict(type="GlobalAveragePooling"), head=dict(in_channels=512))
    )
    check_model(
        dict(backbone=dict(type="MaxViT"), neck=dict(in_channels=WIDTHS), decode_head=dict(in_channels=9))
    )


def test_data_that_are_missing_are_named_for_every_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="data/ade/images/x, data/ade/annotations/x not found"):
        require_data(segmenter(), ["train_dataloader"])
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type="CustomDataset", data_prefix="somewhere"))))
    with pytest.raises(SystemExit, match="no data: somewhere not found"):
        require_data(cfg, ["train_dataloader"])


def test_curves_have_what_each_task_measures(tmp_path):
    log = tmp_path / "run/vis_data/scalars.json"
    log.parent.mkdir(parents=True)
    records = [dict(lr=0.1, step=1, loss=2.0), {"mIoU": 41.0, "aAcc": 80.0, "step": 1}]
    records += [{"accuracy/top1": 69.0, "step": 1}, {"coco_panoptic/PQ": 30.0, "step": 1}]
    log.write_text("\n".join(map(json.dumps, records)))
    _, metrics = read_log(tmp_path)
    assert metrics == {
        "mIoU": ([1], [41.0]),
        "accuracy/top1": ([1], [69.0]),
        "coco_panoptic/PQ": ([1], [30.0]),
    }
    assert draw_curves(tmp_path).is_file()


def test_configs_are_found_by_name_in_the_folder_of_their_task():
    ours = configs_of_ours()
    assert len({path.stem for path in ours}) == len(ours)
    assert not [path for path in ours if "_base_" in path.parts]
    for path in ours:
        assert find_config(path.stem) == path
