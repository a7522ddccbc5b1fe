# 12 epochs of AdamW: 16 images a step (8 GPUs of 2).
_base_ = ["mmdet::_base_/schedules/schedule_1x.py", "./adamw.py"]

optim_wrapper = _base_.adamw
param_scheduler = _base_.warmed_up_1x
