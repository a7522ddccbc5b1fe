# MaxViT-XL pre-trained on ImageNet-21k at 224, by the paper's table 12.
_base_ = "./maxvit_b_in21k.py"

model = dict(
    backbone=dict(arch="xlarge", drop_path_rate=0.6),
    head=dict(in_channels=1536),
)
