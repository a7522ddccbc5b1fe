# UPerNet, MaxViT-T, ADE20K at 512, 160,000 steps: ConvNeXt's recipe of MMSegmentation. Published, mIoU with
# one scale, of others: ConvNeXt-T 46.11, Swin-T 44.41 (MMSegmentation). Not ours: nobody has trained it with
# this code yet.
#
#   python tools/train.py configs/segmentation/upernet_maxvit_t_ade20k.py
#   python tools/train.py configs/segmentation/upernet_maxvit_t_ade20k.py --data FOLDER   (your own images)
#
# Stochastic depth is the classifier's of the paper, 0.2 (ConvNeXt-T has 0.4). Testing slides a window; any
# height and width can be taken whole: --cfg-options model.test_cfg.mode=whole
_base_ = [
    "./_base_/upernet_maxvit_t.py",
    "./_base_/ade20k_512.py",
    "./_base_/schedule_160k.py",
    "./_base_/runtime.py",
]

model = dict(
    data_preprocessor=_base_.crops,
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
    test_cfg=_base_.windows,
)
train_dataloader = dict(batch_size=2)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3), visualization=_base_.drawn)
