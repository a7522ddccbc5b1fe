# Google's recipe at 896 x 896. Survival 0.2. (The published 54.69 / 46.59 began from JFT-300M weights,
# which were not released.)
_base_ = "./cascade_mask_rcnn_maxvit_t_896_coco.py"

model = dict(
    backbone=dict(arch="large", drop_path_rate=1 - 0.2),
    neck=dict(in_channels=[256, 512, 1024]),
)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
