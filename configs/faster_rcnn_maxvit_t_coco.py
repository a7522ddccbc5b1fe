# Faster R-CNN, MaxViT-T, FPN, COCO 2017 under data/coco, 1x schedule: boxes alone.
_base_ = [
    "mmdet::_base_/models/faster-rcnn_r50_fpn.py",
    "./_base_/maxvit_t.py",
    "mmdet::_base_/datasets/coco_detection.py",
    "./_base_/schedule_1x.py",
    "./_base_/runtime.py",
]

model = dict(
    backbone=_base_.maxvit_t,
    neck=dict(in_channels=[64, 128, 256, 512]),
    roi_head=dict(bbox_roi_extractor=_base_.float_boxes),
)
