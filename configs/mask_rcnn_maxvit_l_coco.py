# Mask R-CNN, MaxViT-L, FPN, COCO 2017, 1x schedule; stochastic depth as for ImageNet.
_base_ = "./mask_rcnn_maxvit_t_coco.py"

model = dict(
    backbone=dict(arch="large", drop_path_rate=0.6),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)
