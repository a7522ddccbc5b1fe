# UPerNet, MaxViT-B, ADE20K at 512. Published, mIoU with one scale, of others: ConvNeXt-B 48.71, Swin-B 47.99
# (MMSegmentation). Stochastic depth as for ImageNet.
_base_ = "./upernet_maxvit_t_ade20k.py"

model = dict(
    backbone=dict(arch="base", drop_path_rate=0.4),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.9 ** (13 / 25)))
