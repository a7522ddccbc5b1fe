# MaxViT-T, for a config to put where its base has another backbone: model=dict(backbone=_base_.maxvit_t).
maxvit_t = dict(
    _delete_=True,
    type="MaxViT",
    arch="tiny",
    drop_path_rate=0.2,
    # Two images a GPU are too few for running statistics: all GPUs normalise together. The
    # alternative, statistics frozen at those of pretrained weights: type='BN' and norm_eval=True.
    norm_cfg=dict(type="SyncBN"),
    norm_eval=False,
)

# For both RoI extractors of a two-stage detector: boxes keep float32 in mixed precision.
float_boxes = dict(type="Float32RoIExtractor")
