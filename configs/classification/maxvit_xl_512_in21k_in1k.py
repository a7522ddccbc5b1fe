# MaxViT-XL from ImageNet-21k at 224 to ImageNet-1k at 512. Published top-1: 88.70 % (paper).
_base_ = "./maxvit_b_512_in21k_in1k.py"

model = dict(
    backbone=dict(arch="xlarge", drop_path_rate=0.9),
    head=dict(in_channels=1536),
)
