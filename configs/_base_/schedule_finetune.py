# The paper's table 12 for fine-tuning on ImageNet-1k: 30 epochs of 512 images a step at a constant rate,
# weights averaged; in bf16 as the code. TensorFlow's Model Garden has 40 epochs (100,080 steps) and weight
# decay 1e-4.
_base_ = ["./adamw.py", "./google.py"]

train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=1)
optim_wrapper = dict(
    **_base_.bf16,
    optimizer=dict(type="AdamW", lr=5e-5, betas=(0.9, 0.999), weight_decay=1e-8),
    paramwise_cfg=_base_.no_decay,
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = []
auto_scale_lr = dict(enable=False, base_batch_size=512, base_images=1_281_167)
averages = dict(momentum=0.0001)  # for the custom_hooks: Google's, with a decay of 0.9999
