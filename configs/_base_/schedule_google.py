# Google's long schedule: 90,000 steps of 256 images (64 GPUs of 4), some 195 epochs; bf16; weights averaged.
#
# On fewer GPUs: --auto-scale-lr scales the learning rate, and as many epochs take more steps. On 8 of 4
# images, 8 times:
#
#   --auto-scale-lr --cfg-options train_cfg.max_iters=720000 train_cfg.val_interval=59136 \
#       default_hooks.checkpoint.interval=59136 param_scheduler.0.end=48000 param_scheduler.1.begin=48000 \
#       param_scheduler.1.end=720000
#
# (and at 640, param_scheduler.1.T_max=878000).
_base_ = "./adamw.py"

steps, warm_up, interval = 90_000, 6_000, 7_392  # evaluate every 16 epochs of 462 steps
train_cfg = dict(type="IterBasedTrainLoop", max_iters=steps, val_interval=interval)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
auto_scale_lr = dict(enable=False, base_batch_size=256)

optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=3e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=_base_.no_decay,
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
# Google's cosine runs from step 0, below the warm-up, and so begins 1 % lower; it ends at 3 % of the peak,
# as here.
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=warm_up),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=warm_up, end=steps, eta_min_ratio=0.03),
]

# For a config's default_hooks, and its log
by_steps = dict(checkpoint=dict(by_epoch=False, interval=interval), logger=dict(log_metric_by_epoch=False))
log_by_steps = dict(by_epoch=False)
