# MaxViT-B from 224 to 512 on ImageNet-1k. Published top-1: 86.66 % (paper).
_base_ = "./maxvit_t_512_in1k.py"

model = dict(
    backbone=dict(arch="base", drop_path_rate=0.4),
    head=dict(in_channels=768),
)
