# Mask2Former for instances, MaxViT-T, COCO 2017 under data/coco, 50 epochs with large-scale jitter:
# MMDetection's recipe.
_base_ = [
    "mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py",
    "./_base_/maxvit_t.py",
    "./_base_/adamw.py",
    "./_base_/plugin.py",
]

model = dict(backbone=_base_.maxvit_t, panoptic_head=dict(in_channels=[64, 128, 256, 512]))
optim_wrapper = dict(
    # As a multiplier of the constructor, not as a custom key, which would let the backbone's norms decay.
    constructor="MaxViTLayerDecayConstructor",
    paramwise_cfg=dict(
        backbone_lr_mult=0.1,
        bias_decay_mult=0.0,
        custom_keys=dict(
            _delete_=True,
            query_embed=dict(decay_mult=0.0),
            query_feat=dict(decay_mult=0.0),
            level_embed=dict(decay_mult=0.0),
            **_base_.no_decay.custom_keys,
        ),
    ),
)
default_hooks = dict(visualization=_base_.pictures)
visualizer = dict(vis_backends=_base_.scalars)
custom_hooks = _base_.checks
