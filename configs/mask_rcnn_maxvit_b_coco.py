# Mask R-CNN, MaxViT-B, FPN, COCO 2017, 1x schedule; stochastic depth as for ImageNet.
_base_ = "./mask_rcnn_maxvit_t_coco.py"

model = dict(
    backbone=dict(arch="base", drop_path_rate=0.4),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
