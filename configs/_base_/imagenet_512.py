# ImageNet-1k at 512 for fine-tuning: whole images, squashed into a square, in training and evaluation alike.
_base_ = "./imagenet_224.py"

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(512, 512), interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(**_base_.randaugment | dict(policies=[*_base_.operations, *_base_.moves_512])),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="MaxViTCrop", size=512, trained_size=512),
    dict(type="PackInputs"),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))  # on 16 GPUs
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
