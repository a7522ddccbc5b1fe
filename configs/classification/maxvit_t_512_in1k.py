# MaxViT-T from 224 to 512 on ImageNet-1k, by the paper's table 12. Published top-1: 85.72 % (paper).
#
# It begins with the backbone of 224 and a new head, as the official code:
#
#   python tools/train.py configs/classification/maxvit_t_512_in1k.py --cfg-options \
#       model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=maxvit_t.pth
#
# Partition 16; the tables stay those of partition 7 and are read resized. Weights of 224 were normalised
# otherwise than those of 512, as the official code has it, so that a note on it before the first step is
# right.
_base_ = [
    "../_base_/classifier.py",
    "../_base_/imagenet_512.py",
    "../_base_/schedule_finetune.py",
    "../_base_/classification_runtime.py",
]

model = dict(data_preprocessor=_base_.inception)
custom_hooks = [*_base_.custom_hooks, _base_.averages]
