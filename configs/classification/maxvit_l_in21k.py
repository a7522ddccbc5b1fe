# MaxViT-L pre-trained on ImageNet-21k at 224, by the paper's table 12.
_base_ = "./maxvit_b_in21k.py"

model = dict(
    backbone=dict(arch="large", drop_path_rate=0.4),
    head=dict(in_channels=1024),
)
