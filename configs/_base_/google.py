# What Google's recipes share, for a config to put where its base has others.

norm = dict(type="SyncBN", eps=1e-3, momentum=0.01)
# Levels 3 to 7 from strides 8, 16 and 32. (Google's coarser levels read the finer ones before their norm.)
levels_3_to_7 = dict(
    add_extra_convs="on_output",
    relu_before_extra_convs=True,
    no_norm_on_lateral=True,
    norm_cfg=norm,
)
bf16 = dict(type="AmpOptimWrapper", dtype="bfloat16", loss_scale=1.0)  # it has the range of fp32
# For a config to add to its custom_hooks. The averages follow from the first steps on: the new one's share
# is 9 / (9 + step) until it falls to 0.0002. BatchNorm's statistics are averaged too.
averages = dict(
    type="EMAHook", ema_type="MomentumAnnealingEMA", momentum=0.0002, gamma=9, update_buffers=True
)
