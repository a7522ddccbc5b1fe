# MaxViT-S from 224 to 512 on ImageNet-1k. Published top-1: 86.19 % (paper).
_base_ = "./maxvit_t_512_in1k.py"

model = dict(
    backbone=dict(arch="small", drop_path_rate=0.3),
    head=dict(in_channels=768),
)
