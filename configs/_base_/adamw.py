# AdamW as OpenMMLab trains vision transformers, for a config to put where its base has another optimizer.
no_decay = dict(
    norm_decay_mult=0.0,
    bias_decay_mult=0.0,
    custom_keys={
        "relative_position_bias_table": dict(decay_mult=0.0),
        "in_proj_bias": dict(decay_mult=0.0),  # of PyTorch's attention, in heads
    },
)
adamw = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=no_decay,
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
warmed_up_1x = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
