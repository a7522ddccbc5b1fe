# MaxViT-pico, from scratch on the embedded shapes, one an image, in minutes on two CPU cores.
#
#   python tools/make_shapes.py data/shapes_classes --task classification
#   python tools/train.py configs/classification/maxvit_pico_shapes_classes.py
_base_ = [
    "../_base_/classifier.py",
    "../_base_/adamw.py",
    "../_base_/classification_runtime.py",
]

classes = ("disk", "square", "star", "triangle")  # in the order of the folders
model = dict(
    data_preprocessor=dict(num_classes=4),
    backbone=dict(
        arch="pico",
        drop_path_rate=0.0,
        # The official momentum, 0.01, is slow for a run of some hundred steps.
        norm_cfg=dict(type="BN", momentum=0.1),
    ),
    head=dict(num_classes=4, in_channels=256, loss=dict(num_classes=4), topk=(1,)),
    train_cfg=dict(_delete_=True),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(64, 64)),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(64, 64)),
    dict(type="PackInputs"),
]
dataset = dict(
    type="maxvit_mm.openmmlab.class_folder_dataset.ClassFolderDataset",
    data_root="data/shapes_classes",
    metainfo=dict(classes=classes),
)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(**dataset, split="train", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(**dataset, split="val", pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="Accuracy", topk=(1,))
test_evaluator = val_evaluator

steps = 600
train_cfg = dict(type="IterBasedTrainLoop", max_iters=steps, val_interval=steps // 3)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=_base_.no_decay,
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=50, end=steps, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=steps // 3),
    visualization=dict(interval=10),
)
log_processor = dict(by_epoch=False, window_size=10)
randomness = dict(seed=0)
# The rate is for 16 images a step, the steps for the 600 images of the embedded data set.
auto_scale_lr = dict(enable=False, base_batch_size=16, base_images=600)
