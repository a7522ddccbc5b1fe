# Panoptic FPN, MaxViT-T, 1x schedule; COCO 2017 with its panoptic annotations under data/coco.
_base_ = [
    "mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py",
    "./_base_/maxvit_t.py",
    "./_base_/adamw.py",
    "./_base_/plugin.py",
]

model = dict(
    backbone=_base_.maxvit_t,
    neck=dict(in_channels=[64, 128, 256, 512]),
    roi_head=dict(bbox_roi_extractor=_base_.float_boxes, mask_roi_extractor=_base_.float_boxes),
)
optim_wrapper = _base_.adamw
param_scheduler = _base_.warmed_up_1x
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3), visualization=_base_.pictures)
visualizer = dict(vis_backends=_base_.scalars)
# The box head counts things alone, the data set things and stuff: no comparison of the two.
custom_hooks = [check for check in _base_.checks if check.type != "NumClassCheckHook"]
