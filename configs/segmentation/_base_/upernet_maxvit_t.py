# MMSegmentation's UPerNet with an auxiliary head at stride 16, as ConvNeXt and Swin have it, on MaxViT-T.
_base_ = ["mmseg::_base_/models/upernet_swin.py", "../../_base_/maxvit_t.py"]

model = dict(
    backbone=_base_.maxvit_t,
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256),
)
