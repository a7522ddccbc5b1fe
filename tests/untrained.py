"""Checkpoints of a segmenter and a classifier with random weights, as MMEngine writes them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from conftest import SMALL, randomise
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from maxvit_mm.openmmlab.quiet import quiet_libraries

BACKBONE = dict(type="MaxViT", arch=SMALL)
COLOURS = [[40, 40, 40], [220, 60, 60], [60, 120, 230]]
NORMALIZED = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def segmenter_config(**test_cfg) -> Config:
    """FCN on the last map, for three classes; images are tested with the shorter side at 64 pixels."""
    steps = ["LoadImageFromFile", "Resize", "LoadAnnotations", "PackSegInputs"]
    pipeline = [dict(type=step) for step in steps]
    pipeline[1].update(scale=(256, 64), keep_ratio=True)
    head = dict(type="FCNHead", in_channels=64, in_index=3, channels=8, num_convs=1, num_classes=3)
    model = dict(
        type="EncoderDecoder",
        data_preprocessor=dict(type="SegDataPreProcessor", bgr_to_rgb=True, size=(64, 64), **NORMALIZED),
        backbone=BACKBONE,
        decode_head=head,
        train_cfg=dict(),
        test_cfg=test_cfg or dict(mode="whole"),
    )
    data = dict(type="BaseSegDataset", metainfo=dict(classes=NAMES, palette=COLOURS), pipeline=pipeline)
    return Config(dict(default_scope="mmseg", model=model, test_dataloader=dict(dataset=data)))


def classifier_config() -> Config:
    """MMPretrain's linear head on the average of the last map, for three classes; the middle is cut out."""
    steps = ["LoadImageFromFile", "ResizeEdge", "CenterCrop", "PackInputs"]
    pipeline = [dict(type=step) for step in steps]
    pipeline[1].update(scale=72)
    pipeline[2].update(crop_size=64)
    model = dict(
        type="ImageClassifier",
        backbone=dict(**BACKBONE, out_indices=(3,)),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=3, in_channels=64),
    )
    data = dict(type="CustomDataset", metainfo=dict(classes=NAMES), pipeline=pipeline)
    preprocessor = dict(num_classes=3, to_rgb=True, **NORMALIZED)
    loader = dict(test_dataloader=dict(dataset=data))
    return Config(dict(default_scope="mmpretrain", model=model, data_preprocessor=preprocessor, **loader))


NAMES = ("ground", "disk", "square")


def save(cfg: Config, path: Path, classes: Sequence[str] = NAMES) -> Path:
    """A checkpoint of a config's model, which knows its config and its classes."""
    init_default_scope(cfg.default_scope)
    preprocessor = cfg.model.get("data_preprocessor") or cfg.get("data_preprocessor")
    with quiet_libraries():
        model = randomise(MODELS.build({**cfg.model, "data_preprocessor": preprocessor}))
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=classes, palette=COLOURS))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return path
