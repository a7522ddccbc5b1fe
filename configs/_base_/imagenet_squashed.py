# ImageNet-1k for fine-tuning: whole images, squashed into a square, in training and evaluation alike. For a
# config to take the side of its recipe.
_base_ = "./imagenet_224.py"


def squashed(side, moves):
    return dict(
        train=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(side, side), interpolation="bicubic"),
            dict(type="RandomFlip", prob=0.5, direction="horizontal"),
            dict(**_base_.randaugment | dict(policies=[*_base_.operations, *moves])),
            dict(type="PackInputs"),
        ],
        test=[
            dict(type="LoadImageFromFile"),
            dict(type="MaxViTCrop", size=side, trained_size=side),
            dict(type="PackInputs"),
        ],
    )


squashed_384 = squashed(384, _base_.moves_384)
squashed_512 = squashed(512, _base_.moves_512)
train_dataloader = dict(batch_size=32)  # on 16 GPUs
val_dataloader = dict(batch_size=32)
test_dataloader = val_dataloader
