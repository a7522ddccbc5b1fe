# Google's recipe at 640 x 640. Published, box / mask AP on COCO: 51.59 / 44.07 (TensorFlow Model Garden).
# Survival 0.7.
_base_ = "./cascade_mask_rcnn_maxvit_t_640_coco.py"

model = dict(
    backbone=dict(arch="base", drop_path_rate=1 - 0.7),
    neck=dict(in_channels=[192, 384, 768]),
)
