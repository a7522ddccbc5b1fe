# UPerNet, MaxViT-S, ADE20K at 512. Published, mIoU with one scale, of others: ConvNeXt-S 48.56, Swin-S 47.72
# (MMSegmentation). Stochastic depth as for ImageNet.
_base_ = "./upernet_maxvit_t_ade20k.py"

model = dict(
    backbone=dict(arch="small", drop_path_rate=0.3),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.9 ** (13 / 12)))
