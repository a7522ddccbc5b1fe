# How every segmenter of ours logs, checks and draws.
_base_ = ["mmseg::_base_/default_runtime.py", "../../_base_/plugin.py"]

custom_hooks = [dict(type="mmdet.NumClassCheckHook"), *_base_.checks[1:]]
visualizer = dict(vis_backends=_base_.scalars)
# Pictures of validation, for a schedule's default_hooks.
drawn = dict(type="SegVisualizationHook", draw=True, interval=100)
