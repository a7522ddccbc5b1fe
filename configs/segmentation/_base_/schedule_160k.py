# 160,000 steps of 16 images (8 GPUs of 2): ConvNeXt's recipe of MMSegmentation, with its mixed precision.
_base_ = ["mmseg::_base_/schedules/schedule_160k.py", "../../_base_/adamw.py"]

optim_wrapper = dict(
    _delete_=True,
    type="AmpOptimWrapper",
    loss_scale="dynamic",
    optimizer=_base_.adamw.optimizer,
    constructor="MaxViTLayerDecayConstructor",
    # ConvNeXt's rates fall stage by stage, ours block by block. The stem learns as slowly as its: 0.9**7 of
    # the heads' rate in T, 0.9**13 in S and B. T and S have 11 blocks, B has 24.
    paramwise_cfg=dict(decay_rate=0.9 ** (7 / 12), **_base_.no_decay),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=160_000),
]
