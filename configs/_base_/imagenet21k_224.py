# ImageNet-21k under data/imagenet21k, at 224, a folder for each class. It has no split for validation: put
# some images of each class into val/.
_base_ = "./imagenet_224.py"

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="RandomResizedCrop", scale=224, interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(**_base_.randaugment | dict(magnitude_level=5)),
    dict(type="PackInputs"),
]
folder = dict(_delete_=True, type="CustomDataset", data_root="data/imagenet21k")
train_dataloader = dict(dataset=dict(**folder, data_prefix="train", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**folder, data_prefix="val", pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
