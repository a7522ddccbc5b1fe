# The segmenter of Google's TensorFlow Model Garden (official/projects/maxvit): MaxViT-S, partition input / 32
# with tables kept at 13 x 13 and resized, FPN levels 3 to 7 from strides 8, 16 and 32, and three 3 x 3
# convolutions at level 3 before the classifier. The loss is the mean over pixels that have a label.
#
# Levels 4 to 7 get no gradient but what level 3 takes of them: as there, their own convolutions stand idle.
_base_ = ["mmseg::_base_/models/fpn_r50.py", "../../_base_/maxvit_t.py", "../../_base_/google.py"]

model = dict(
    pretrained=None,
    backbone=dict(
        **_base_.maxvit_t
        | dict(arch="small", out_indices=(1, 2, 3), partition_size="scaled", drop_path_rate=1 - 0.7)
    ),
    neck=dict(in_channels=[192, 384, 768], num_outs=5) | _base_.levels_3_to_7,
    decode_head=dict(
        _delete_=True,
        type="FCNHead",
        in_channels=256,
        in_index=0,
        channels=256,
        num_convs=3,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=21,
        norm_cfg=_base_.norm,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
find_unused_parameters = True
