# Google's recipe at 640 x 640, partition 20. Published, box / mask AP on COCO: 49.97 / 42.69 (TensorFlow
# Model Garden). Not ours: nobody has trained it with this code yet.
#
# Survival 0.3. The cosine is longer than the training, 115,750 steps, and so never reaches its end.
_base_ = "./cascade_mask_rcnn_maxvit_t_896_coco.py"

model = dict(data_preprocessor=dict(pad_size_divisor=640), backbone=dict(drop_path_rate=1 - 0.3))
train_dataloader = dict(dataset=dict(pipeline=_base_.jitter_640.train))
val_dataloader = dict(dataset=dict(pipeline=_base_.jitter_640.test))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2e-3, weight_decay=1e-4))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(
        type="CosineAnnealingLR",
        by_epoch=False,
        begin=_base_.warm_up,
        end=_base_.steps,
        T_max=115_750 - _base_.warm_up,
        eta_min_ratio=0.03,
    ),
]
