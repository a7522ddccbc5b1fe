# Mask R-CNN on the smallest MaxViT, from scratch on the embedded data set, in minutes on two CPU cores.
#
#   make demo
#
# or, step by step:
#
#   python tools/make_shapes.py data/shapes
#   python tools/train.py configs/mask_rcnn_maxvit_pico_shapes.py
_base_ = [
    "./_base_/mask_rcnn_maxvit_fpn.py",
    "./_base_/shapes_instance.py",
    "./_base_/schedule_1x.py",
    "./_base_/runtime.py",
]

num_classes = 5
steps = 450

model = dict(
    data_preprocessor=dict(pad_size_divisor=1),  # MaxViT takes any size
    backbone=dict(
        arch="pico",
        drop_path_rate=0.0,
        norm_cfg=dict(_delete_=True, type="BN", momentum=0.1),  # 0.01 is slow for so short a run
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[4]),  # the smallest anchor has a side of 4 x stride 4 = 16 pixels
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64, finest_scale=28),
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=num_classes),
        mask_roi_extractor=dict(out_channels=64, finest_scale=28),
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64, num_classes=num_classes),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100)),
)

train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=steps, val_interval=steps // 3)
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=50, end=steps, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(by_epoch=False, interval=steps // 3),
    visualization=dict(interval=25),
)
log_processor = dict(by_epoch=False, window_size=10)
randomness = dict(seed=0)
