# The paper's table 12 for pre-training on ImageNet-21k: 90 epochs of 4096 images a step, in bf16 as the code.
# The official code has no settings of its own for it.
_base_ = ["./adamw.py", "./google.py"]

train_cfg = dict(by_epoch=True, max_epochs=90, val_interval=5)
optim_wrapper = dict(
    **_base_.bf16,
    optimizer=dict(type="AdamW", lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=_base_.no_decay,
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type="PolyLR", power=1.0, eta_min=1e-5, by_epoch=True, begin=5, end=90, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=4096, base_images=14_197_122)
