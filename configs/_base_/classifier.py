# MaxViT-T with the official head: average, LayerNorm, linear, tanh, linear. Partition: image / 32.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(
        type="ClsDataPreprocessor",
        num_classes=1000,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(type="MaxViT", arch="tiny", out_indices=(3,), partition_size="scaled", drop_path_rate=0.2),
    head=dict(
        type="MaxViTClsHead",
        num_classes=1000,
        in_channels=512,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, num_classes=1000),
        topk=(1, 5),
    ),
    train_cfg=dict(augments=dict(type="Mixup", alpha=0.8)),
)

# For weights that saw ImageNet-21k or images of more than 224 pixels, as the official code has it
inception = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5])
