# MMDetection's Mask R-CNN with FPN, on MaxViT-T.
_base_ = "mmdet::_base_/models/mask-rcnn_r50_fpn.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="MaxViT",
        arch="tiny",
        drop_path_rate=0.2,
        # Two images a GPU are too few for running statistics: all GPUs normalise together. The
        # alternative, statistics frozen at those of pretrained weights: type='BN' and norm_eval=True.
        norm_cfg=dict(type="SyncBN"),
        norm_eval=False,
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
