# Cascade Mask R-CNN on MaxViT-pico, from scratch on the embedded data set: the budget of the demo's Mask
# R-CNN.
#
#   python tools/make_shapes.py data/shapes
#   python tools/train.py configs/cascade_mask_rcnn_maxvit_pico_shapes.py
_base_ = [
    "./_base_/cascade_mask_rcnn_maxvit_pico_fpn.py",
    "./_base_/shapes_instance.py",
    "./_base_/run_shapes.py",
]

model = dict(
    roi_head=dict(
        bbox_head=[head | dict(num_classes=4) for head in _base_.model.roi_head.bbox_head],
        mask_head=dict(num_classes=4),
    )
)
