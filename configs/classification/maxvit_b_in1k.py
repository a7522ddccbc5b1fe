# MaxViT-B on ImageNet-1k from scratch at 224, by the paper's table 12. Published top-1: 84.95 % (paper).
_base_ = "./maxvit_t_in1k.py"

model = dict(
    backbone=dict(arch="base", drop_path_rate=0.4),
    head=dict(in_channels=768),
)
