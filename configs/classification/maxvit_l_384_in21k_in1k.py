# MaxViT-L from ImageNet-21k at 224 to ImageNet-1k at 384. Published top-1: 88.32 % (paper).
_base_ = "./maxvit_b_384_in21k_in1k.py"

model = dict(
    backbone=dict(arch="large", drop_path_rate=0.5),
    head=dict(in_channels=1024),
)
