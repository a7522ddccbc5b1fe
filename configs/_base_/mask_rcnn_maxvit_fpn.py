# MMDetection's Mask R-CNN with FPN, on MaxViT-T.
_base_ = ["mmdet::_base_/models/mask-rcnn_r50_fpn.py", "./maxvit_t.py"]

model = dict(
    backbone=_base_.maxvit_t,
    neck=dict(in_channels=[64, 128, 256, 512]),
    roi_head=dict(bbox_roi_extractor=_base_.float_boxes, mask_roi_extractor=_base_.float_boxes),
)
