# MaxViT-L on ImageNet-1k from scratch at 224, by the paper's table 12. Published top-1: 85.17 % (paper).
_base_ = "./maxvit_t_in1k.py"

model = dict(
    backbone=dict(arch="large", drop_path_rate=0.6),
    head=dict(in_channels=1024),
)
