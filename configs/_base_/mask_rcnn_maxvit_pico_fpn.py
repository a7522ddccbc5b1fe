# Mask R-CNN on MaxViT-pico.
_base_ = ["./mask_rcnn_maxvit_fpn.py", "./pico.py"]

model = _base_.pico
model.roi_head.bbox_head = _base_.pico_box
model.train_cfg.rcnn = dict(sampler=dict(num=_base_.pico_boxes_sampled))
