# What every config of ours needs: the import that registers the backbone.
custom_imports = dict(imports=["maxvit_mm"], allow_failed_imports=False)

# What a config puts where its base has others. custom_hooks:
checks = [
    dict(type="NumClassCheckHook"),
    dict(type="ClassNamesHook"),
    dict(type="CompleteLoadHook"),
    dict(type="NormalizationHook"),
    dict(type="ReseedHook"),
    dict(type="CurvesHook"),
]
# default_hooks.visualization: pictures of validation, truth beside prediction
pictures = dict(draw=True, interval=500, score_thr=0.5)
# visualizer.vis_backends
scalars = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
