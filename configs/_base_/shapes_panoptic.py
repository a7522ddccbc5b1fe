# The embedded data set with its panoptic maps: the shapes are things, what lies behind them is stuff.
_base_ = "./shapes_instance.py"

things = _base_.metainfo.classes
stuff = ("background",)
metainfo = dict(
    classes=(*things, *stuff),
    thing_classes=things,
    stuff_classes=stuff,
    palette=[*_base_.metainfo.palette, (120, 120, 120)],
)
maps = dict(type="LoadPanopticAnnotations")
train_pipeline = [maps if step.type == "LoadAnnotations" else step for step in _base_.train_pipeline]
test_pipeline = [maps if step.type == "LoadAnnotations" else step for step in _base_.test_pipeline]
train_dataloader = dict(
    dataset=dict(
        type="CocoPanopticDataset",
        metainfo=metainfo,
        ann_file="annotations/panoptic_train2017.json",
        data_prefix=dict(seg="annotations/panoptic_train2017/"),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type="CocoPanopticDataset",
        metainfo=metainfo,
        ann_file="annotations/panoptic_val2017.json",
        data_prefix=dict(seg="annotations/panoptic_val2017/"),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type="CocoPanopticMetric",
    ann_file=_base_.data_root + "annotations/panoptic_val2017.json",
    seg_prefix=_base_.data_root + "annotations/panoptic_val2017/",
    classwise=True,
)
test_evaluator = val_evaluator
