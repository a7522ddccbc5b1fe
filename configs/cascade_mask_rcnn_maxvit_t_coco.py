# Cascade Mask R-CNN, MaxViT-T, FPN, COCO 2017 under data/coco, 1x schedule.
#
#   python tools/train.py configs/cascade_mask_rcnn_maxvit_t_coco.py
_base_ = [
    "./_base_/cascade_mask_rcnn_maxvit_fpn.py",
    "mmdet::_base_/datasets/coco_instance.py",
    "./_base_/schedule_1x.py",
    "./_base_/runtime.py",
]
