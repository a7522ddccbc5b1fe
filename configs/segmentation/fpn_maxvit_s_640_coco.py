# Google's recipe for semantic segmentation of COCO at 640 x 640, MaxViT-S, partition 20: its experiment
# seg_coco_maxvits_i640. 64,000 steps of 32 images, AdamW at 1e-6, survival 0.7. Google published no result of
# it, and nobody has trained it with this code yet.
#
# Google's FPN concatenates levels here, MMSegmentation's adds them. Left open there: how its label maps were
# made. It counts 91 classes, as many as COCO's numbers of objects with a background; here they are the 80
# classes that COCO has, and background, painted from the instances. The cosine ends at 3 % of the peak, which
# its code says and the experiment leaves as it is. Its images were of COCO 2014.
_base_ = [
    "./_base_/fpn_maxvit_google.py",
    "./_base_/coco_semantic.py",
    "./_base_/square_crops.py",
    "mmseg::_base_/schedules/schedule_20k.py",
    "../_base_/adamw.py",
    "./_base_/runtime.py",
]

steps = 64_000
model = dict(data_preprocessor=_base_.crops_640.preprocessor, decode_head=dict(num_classes=81))
train_dataloader = dict(dataset=dict(pipeline=_base_.crops_640.train))
val_dataloader = dict(dataset=dict(pipeline=_base_.crops_640.test))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=steps, val_interval=3_200)
optim_wrapper = _base_.adamw | _base_.bf16
optim_wrapper.optimizer.update(lr=1e-6, weight_decay=1e-4)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=4_000),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=4_000, end=steps, eta_min_ratio=0.03),
]
default_hooks = dict(checkpoint=dict(interval=3_200, max_keep_ckpts=3), visualization=_base_.drawn)
custom_hooks = [*_base_.custom_hooks, _base_.averages]
auto_scale_lr = dict(enable=False, base_batch_size=32, base_images=118_287)
