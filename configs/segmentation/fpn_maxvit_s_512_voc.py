# Google's recipe for PASCAL VOC 2012 at 512 x 512, MaxViT-S, partition 16: its experiment
# seg_pascal_maxvits_i512. 20,000 steps of 32 images, AdamW at 1e-5, survival 0.7. Google published no result
# of it, and nobody has trained it with this code yet.
#
# Google's train_aug of 10,582 images is VOC's train and the annotations of SBD, as MMSegmentation reads them
# (data/VOCdevkit/VOC2012, SegmentationClassAug). Left open there: from which weights it begins. It compares
# maps at 512 x 512, here they are compared at the image's own size. Its cosine runs from step 0, below the
# warm-up, and so begins lower.
_base_ = [
    "./_base_/fpn_maxvit_google.py",
    "mmseg::_base_/datasets/pascal_voc12_aug.py",
    "./_base_/square_crops.py",
    "mmseg::_base_/schedules/schedule_20k.py",
    "../_base_/adamw.py",
    "./_base_/runtime.py",
]

model = dict(data_preprocessor=_base_.crops_512.preprocessor)
pipeline = dict(pipeline=_base_.crops_512.train)
train_dataloader = dict(
    batch_size=4, dataset=dict(datasets=[_base_.dataset_train | pipeline, _base_.dataset_aug | pipeline])
)
val_dataloader = dict(dataset=dict(pipeline=_base_.crops_512.test))
test_dataloader = val_dataloader
train_cfg = dict(val_interval=330)
optim_wrapper = _base_.adamw | _base_.bf16
optim_wrapper.optimizer.update(lr=1e-5, weight_decay=1e-4)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=500),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=500, end=20_000, eta_min_ratio=0.01),
]
default_hooks = dict(checkpoint=dict(interval=330, max_keep_ckpts=3), visualization=_base_.drawn)
custom_hooks = [*_base_.custom_hooks, _base_.averages]
auto_scale_lr = dict(enable=False, base_batch_size=32, base_images=10_582)
