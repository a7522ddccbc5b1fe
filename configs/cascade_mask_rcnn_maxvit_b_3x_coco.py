# Cascade Mask R-CNN, MaxViT-B, FPN, COCO 2017, 36 epochs with multi-scale crops.
_base_ = ["./cascade_mask_rcnn_maxvit_b_coco.py", "./_base_/ms_crop_3x.py"]

train_dataloader = dict(dataset=dict(pipeline=_base_.ms_crop_pipeline))
train_cfg = dict(max_epochs=36)
param_scheduler = _base_.schedule_3x
