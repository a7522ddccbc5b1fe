# COCO 2017 under data/coco as label maps: its 80 classes of objects, and background.
coco = dict(type="maxvit_mm.openmmlab.semantic_datasets.SemanticCocoDataset", data_root="data/coco/")
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(img_path="train2017"),
        **coco,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        ann_file="annotations/instances_val2017.json",
        data_prefix=dict(img_path="val2017"),
        **coco,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])
test_evaluator = val_evaluator
