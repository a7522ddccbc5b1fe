# A run of minutes on two CPU cores: 780 steps, evaluated at each third.
_base_ = ["./schedule_1x.py", "./runtime.py"]

steps = 780
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=steps, val_interval=steps // 3)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=50, end=steps, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=steps // 3),
    visualization=dict(interval=25),
)
log_processor = dict(by_epoch=False, window_size=10)
randomness = dict(seed=0)
# The rate is for 4 images a step, the steps for the 600 images of the embedded data set.
auto_scale_lr = dict(enable=False, base_batch_size=4, base_images=600)
