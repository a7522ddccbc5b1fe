# Google's recipe at 640 x 640. Published, box / mask AP on COCO: 50.79 / 43.36 (TensorFlow Model Garden).
# For this size and input Google released no config: survival 0.5, as at 896.
_base_ = "./cascade_mask_rcnn_maxvit_t_640_coco.py"

model = dict(
    backbone=dict(arch="small", drop_path_rate=1 - 0.5),
    neck=dict(in_channels=[192, 384, 768]),
)
