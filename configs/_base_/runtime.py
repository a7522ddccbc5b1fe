# How every run of ours logs, checks and draws.
_base_ = "mmdet::_base_/default_runtime.py"

custom_imports = dict(imports=["maxvit_mm"], allow_failed_imports=False)

default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),
    visualization=dict(draw=True, interval=500),  # pictures of validation, truth beside prediction
)
custom_hooks = [
    dict(type="NumClassCheckHook"),
    dict(type="ClassNamesHook"),
    dict(type="CompleteLoadHook"),
    dict(type="NormalizationHook"),
    dict(type="ReseedHook"),
    dict(type="CurvesHook"),
]
visualizer = dict(
    vis_backends=[dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")],
)
