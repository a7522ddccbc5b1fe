# Google's recipe at 896 x 896. Published, box / mask AP on COCO: 53.4 / 45.7 (paper), 53.47 / 45.96
# (TensorFlow Model Garden). Survival 0.2.
#
# The paper's "stochastic depth" for this size is 0.3, drop or survival not said; survival 0.2 is the code's.
_base_ = "./cascade_mask_rcnn_maxvit_t_896_coco.py"

model = dict(
    backbone=dict(arch="base", drop_path_rate=1 - 0.2),
    neck=dict(in_channels=[192, 384, 768]),
)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
