# MaxViT-L from ImageNet-21k at 224 to ImageNet-1k at 512. Published top-1: 88.46 % (paper).
_base_ = "./maxvit_b_512_in21k_in1k.py"

model = dict(
    backbone=dict(arch="large", drop_path_rate=0.5),
    head=dict(in_channels=1024),
)
