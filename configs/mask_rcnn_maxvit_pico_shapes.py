# Mask R-CNN on MaxViT-pico, from scratch on the embedded data set, in minutes on two CPU cores.
#
#   make demo
#
# or, step by step:
#
#   python tools/make_shapes.py data/shapes
#   python tools/train.py configs/mask_rcnn_maxvit_pico_shapes.py
_base_ = [
    "./_base_/mask_rcnn_maxvit_pico_fpn.py",
    "./_base_/shapes_instance.py",
    "./_base_/run_shapes.py",
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=4), mask_head=dict(num_classes=4)))
