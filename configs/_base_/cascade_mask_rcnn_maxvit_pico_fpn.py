# Cascade Mask R-CNN on MaxViT-pico: three stages of the boxes that its Mask R-CNN has one of.
_base_ = ["./cascade_mask_rcnn_maxvit_fpn.py", "./pico.py"]

model = _base_.pico
model.roi_head.bbox_head = [head | _base_.pico_box for head in _base_.model.roi_head.bbox_head]
model.train_cfg.rcnn = [
    stage | dict(sampler=stage.sampler | dict(num=_base_.pico_boxes_sampled))
    for stage in _base_.model.train_cfg.rcnn
]
