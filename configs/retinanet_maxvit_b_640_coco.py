# RetinaNet, MaxViT-B at 640 x 640, partition 20: Google's recipe, with SGD. Published box AP on COCO: 46.63
# (TensorFlow Model Garden). Not ours: nobody has trained it with this code yet.
#
# Where MMDetection's head differs: it has no norm. The neck's is synchronised here, Google's was each TPU
# core's own. Google's box loss, 50 x Huber of 0.1 averaged over four coordinates, is 50 x 0.1 / 4 = 1.25 x
# smooth L1 of 0.1. Survival 0.3, of the released config (its code says 0.7).
_base_ = [
    "mmdet::_base_/models/retinanet_r50_fpn.py",
    "./_base_/maxvit_t.py",
    "mmdet::_base_/datasets/coco_detection.py",
    "./_base_/square_input.py",
    "./_base_/google.py",
    "./_base_/adamw.py",
    "./_base_/runtime.py",
]

model = dict(
    data_preprocessor=dict(pad_size_divisor=640),
    backbone=dict(
        **_base_.maxvit_t
        | dict(arch="base", out_indices=(1, 2, 3), partition_size="scaled", drop_path_rate=1 - 0.3)
    ),
    neck=dict(in_channels=[192, 384, 768], start_level=0) | _base_.levels_3_to_7,
    bbox_head=dict(
        loss_cls=dict(gamma=1.5),
        loss_bbox=dict(_delete_=True, type="SmoothL1Loss", beta=0.1, loss_weight=1.25),
    ),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(pipeline=_base_.mild_jitter_640.train, filter_cfg=dict(filter_empty_gt=False)),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.mild_jitter_640.test))
test_dataloader = val_dataloader

# 72 epochs of 462 steps of 256 images
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=72, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
auto_scale_lr = dict(enable=False, base_batch_size=256)
optim_wrapper = _base_.bf16 | dict(
    optimizer=dict(type="SGD", lr=0.32, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=_base_.no_decay,
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.0067 / 0.32, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=72, milestones=[57, 67], gamma=0.1),
]
