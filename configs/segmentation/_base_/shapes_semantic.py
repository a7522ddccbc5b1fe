# The embedded data set as label maps: what no shape covers is background. Small images, taken as they are.
read = "maxvit_mm.openmmlab.semantic_datasets."
metainfo = dict(
    classes=("background", "disk", "square", "triangle", "star"),
    palette=[(40, 40, 40), (220, 60, 60), (60, 120, 230), (250, 190, 40), (150, 70, 200)],
)
shapes = dict(type=read + "SemanticCocoDataset", data_root="data/shapes/", metainfo=metainfo)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(img_path="train2017"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type=read + "LoadSemanticMap"),
            dict(type="Resize", scale_factor=1.0, keep_ratio=True),
            dict(type="RandomCrop", crop_size=(160, 160)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackSegInputs"),
        ],
        **shapes,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        ann_file="annotations/instances_val2017.json",
        data_prefix=dict(img_path="val2017"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale_factor=1.0, keep_ratio=True),
            dict(type=read + "LoadSemanticMap"),
            dict(type="PackSegInputs"),
        ],
        **shapes,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])
test_evaluator = val_evaluator
