# Google's recipe at 896 x 896. Published, box / mask AP on COCO: 53.1 / 45.4 (paper), 53.54 / 45.79
# (TensorFlow Model Garden). Survival 0.5; 25,750 more steps after the cosine's end, at its last rate.
#
# The paper's "stochastic depth" for this size is 0.3, drop or survival not said; survival 0.5 is the code's.
_base_ = "./cascade_mask_rcnn_maxvit_t_896_coco.py"

model = dict(
    backbone=dict(arch="small", drop_path_rate=1 - 0.5),
    neck=dict(in_channels=[192, 384, 768]),
)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
train_cfg = dict(max_iters=90_000 + 25_750)
