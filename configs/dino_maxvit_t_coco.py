# DINO with four scales, MaxViT-T, COCO 2017 under data/coco, 12 epochs: MMDetection's recipe.
_base_ = [
    "mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py",
    "./_base_/maxvit_t.py",
    "./_base_/adamw.py",
    "./_base_/plugin.py",
]

model = dict(
    backbone=dict(**_base_.maxvit_t | dict(out_indices=(1, 2, 3))),
    neck=dict(in_channels=[128, 256, 512]),
)
optim_wrapper = dict(
    # As a multiplier of the constructor, not as a custom key, which would let the backbone's norms decay.
    constructor="MaxViTLayerDecayConstructor",
    paramwise_cfg=dict(_delete_=True, backbone_lr_mult=0.1, **_base_.no_decay),
)
default_hooks = dict(visualization=_base_.pictures)
visualizer = dict(vis_backends=_base_.scalars)
custom_hooks = _base_.checks
