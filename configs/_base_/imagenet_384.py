# ImageNet-1k at 384 for fine-tuning.
_base_ = "./imagenet_squashed.py"

train_pipeline, test_pipeline = _base_.squashed_384.train, _base_.squashed_384.test
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
