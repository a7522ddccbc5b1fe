# How every run of ours logs, checks and draws.
_base_ = ["mmdet::_base_/default_runtime.py", "./plugin.py"]

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3), visualization=_base_.pictures)
custom_hooks = _base_.checks
visualizer = dict(vis_backends=_base_.scalars, alpha=0.5)
