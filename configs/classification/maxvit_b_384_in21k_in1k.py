# MaxViT-B from ImageNet-21k at 224 to ImageNet-1k at 384, by the paper's table 12: no mixup. Published top-1:
# 88.24 % (paper). It begins with the backbone of ImageNet-21k and a new head.
#
# TensorFlow's Model Garden has stochastic depth 0.2, 0.3 and 0.2 for B, L and XL, the paper 0.4, 0.5 and 0.9.
_base_ = "./maxvit_b_384_in1k.py"

model = dict(backbone=dict(drop_path_rate=0.4), train_cfg=dict(_delete_=True))
