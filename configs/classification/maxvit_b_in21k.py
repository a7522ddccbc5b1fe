# MaxViT-B pre-trained on ImageNet-21k at 224, by the paper's table 12: a sigmoid for each of the 21,843
# classes of Google's, no mixup. Its label smoothing of 0.0001 is TensorFlow's: half of it goes to each side.
_base_ = [
    "../_base_/classifier.py",
    "../_base_/imagenet21k_224.py",
    "../_base_/schedule_in21k.py",
    "../_base_/classification_runtime.py",
]

classes = 21_843
model = dict(
    data_preprocessor=dict(num_classes=classes, **_base_.inception),
    backbone=dict(arch="base", drop_path_rate=0.3),
    head=dict(
        num_classes=classes,
        in_channels=768,
        loss=dict(label_smooth_val=0.00005, mode="multi_label", use_sigmoid=True, num_classes=classes),
    ),
    train_cfg=dict(_delete_=True),
)
