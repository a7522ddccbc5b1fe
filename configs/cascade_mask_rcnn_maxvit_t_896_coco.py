# Google's recipe at 896 x 896: cascade, partition 28, large-scale jitter. Published, box / mask AP on COCO:
# 52.1 / 44.6 (paper), 52.35 / 44.69 (TensorFlow Model Garden). Not ours: nobody has trained it with this
# code yet.
#
# For this size Google released no config. The learning rate is the paper's; its "stochastic depth 0.8" is
# read as the survival of the last block, 0.2 the other way round. Weight decay is that of Google's other
# sizes.
_base_ = [
    "./_base_/cascade_mask_rcnn_maxvit_google.py",
    "mmdet::_base_/datasets/coco_instance.py",
    "./_base_/square_input.py",
    "./_base_/schedule_google.py",
    "./_base_/runtime.py",
]

model = dict(data_preprocessor=dict(pad_size_divisor=896), backbone=dict(drop_path_rate=0.2))
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    sampler=dict(type="InfiniteSampler"),
    batch_sampler=None,
    dataset=dict(pipeline=_base_.jitter_896.train, filter_cfg=dict(filter_empty_gt=False)),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.jitter_896.test))
test_dataloader = val_dataloader
optim_wrapper = _base_.bf16 | dict(optimizer=dict(lr=1e-3))
default_hooks = _base_.by_steps
log_processor = _base_.log_by_steps
custom_hooks = [*_base_.checks, _base_.averages]
