# How every run of a classifier logs, checks and draws.
_base_ = "./plugin.py"

default_scope = "mmpretrain"
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    visualization=dict(type="VisualizationHook", enable=True, interval=2500),
)
# MMPretrain's check of the number of classes, in the place of MMDetection's
custom_hooks = [dict(type="ClassNumCheckHook"), *_base_.checks[1:]]
visualizer = dict(type="UniversalVisualizer", vis_backends=_base_.scalars)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
val_cfg = dict()
test_cfg = dict()
log_level = "INFO"
load_from = None
resume = False
