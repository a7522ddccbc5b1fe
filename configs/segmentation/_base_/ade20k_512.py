# ADE20K under data/ade: crops of 512 pixels; an image is tested with its shorter side at 512.
_base_ = "mmseg::_base_/datasets/ade20k.py"

# For a model to take: its images in training, and its windows in testing.
crops = dict(size=(512, 512))
windows = dict(mode="slide", crop_size=(512, 512), stride=(341, 341))
# A learning rate is for 16 images a step, the steps for ADE20K's 20,210.
auto_scale_lr = dict(enable=False, base_batch_size=16, base_images=20_210)
