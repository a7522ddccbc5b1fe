# Semantic FPN, MaxViT-T, ADE20K at 512, 40,000 steps of 32 images (8 GPUs of 4): light, by PoolFormer's
# recipe of MMSegmentation, with no weight decay of norms, biases and tables, and with images of any size.
# Nobody has trained it with this code yet.
#
# The head adds the four levels at stride 4. Images are taken whole, at any height and width.
_base_ = [
    "mmseg::_base_/models/fpn_r50.py",
    "../_base_/maxvit_t.py",
    "./_base_/ade20k_512.py",
    "mmseg::_base_/schedules/schedule_40k.py",
    "../_base_/adamw.py",
    "./_base_/runtime.py",
]

model = dict(
    pretrained=None,
    data_preprocessor=_base_.crops,
    backbone=_base_.maxvit_t,
    neck=dict(in_channels=[64, 128, 256, 512]),
    decode_head=dict(num_classes=150),
)
optim_wrapper = dict(
    _delete_=True,
    type="AmpOptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-4, weight_decay=1e-4),
    paramwise_cfg=_base_.no_decay,
)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, by_epoch=False, begin=0, end=40_000)]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3), visualization=_base_.drawn)
auto_scale_lr = dict(base_batch_size=32)
