# Cascade Mask R-CNN, MaxViT-XL, FPN, COCO 2017, 1x schedule. All released weights of this size saw
# ImageNet-21k and expect its normalisation. Stochastic depth: survival 0.3, of the Model Garden's table of
# sizes.
_base_ = "./cascade_mask_rcnn_maxvit_t_coco.py"

model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(arch="xlarge", drop_path_rate=1 - 0.3),
    neck=dict(in_channels=[192, 384, 768, 1536]),
)
