# The paper's table 12 for ImageNet-1k from scratch: 300 epochs of 4096 images a step, in bf16 as the code.
#
# The table has no averages of the weights, and the official code (maxvit/models/hp/vision_i1k.py) a decay of
# 0.9999: the released weights are averages. To have them: custom_hooks = [*_base_.custom_hooks,
# _base_.averages].
#
# On fewer GPUs, --epochs 300 --auto-scale-lr makes as many steps of it as the images a step ask for.
_base_ = ["./adamw.py", "./google.py"]

steps, warm_up = 300 * 313, 10_000  # 1,281,167 images / 4096 are 313 steps an epoch
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=5)
optim_wrapper = dict(
    **_base_.bf16,
    optimizer=dict(type="AdamW", lr=3e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=_base_.no_decay,
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=warm_up),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=warm_up, end=steps, eta_min=1e-5),
]
auto_scale_lr = dict(enable=False, base_batch_size=4096, base_images=1_281_167)
averages = dict(momentum=0.0001)  # for the custom_hooks: Google's, with a decay of 0.9999
