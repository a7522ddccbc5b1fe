# The cascade of Google's TensorFlow Model Garden (official/projects/maxvit): FPN levels 3 to 7 from strides
# 8, 16 and 32, three anchor scales a level, a 2-conv RPN, two stages, SyncBN in neck and heads.
#
# Where MMDetection's parts differ: its RPN has no norm and its box heads none after the fully connected
# layer; each stage has a mask head and their masks are averaged, Google has one head, on the last stage's
# boxes; each stage samples 512 boxes, Google's second takes the first's; an image keeps all its objects,
# Google's 100 at most, and a cut object gets the box of what is left of its mask, Google's its old box,
# cut. Left out: an L2 loss of 1e-7 that Google has beside the weight decay in T and B at 640 and S and B at
# 896.
_base_ = ["./cascade_mask_rcnn_maxvit_fpn.py", "./google.py"]


def box_head(target_stds):
    return dict(
        type="Shared4Conv1FCBBoxHead",
        in_channels=256,
        fc_out_channels=1024,
        roi_feat_size=7,
        num_classes=80,
        norm_cfg=_base_.norm,
        reg_class_agnostic=True,
        bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_means=[0.0] * 4, target_stds=target_stds),
        loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
        loss_bbox=dict(type="SmoothL1Loss", beta=1.0, loss_weight=1.0),
    )


def stage(foreground, background):
    return dict(
        assigner=dict(
            type="MaxIoUAssigner",
            pos_iou_thr=foreground,
            neg_iou_thr=background,
            min_pos_iou=foreground,
            match_low_quality=False,
            ignore_iof_thr=-1,
        ),
        sampler=dict(
            type="RandomSampler", num=512, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True
        ),
        mask_size=28,
        pos_weight=-1,
        debug=False,
    )


# Box sizes that belong to stride 8 end at 224 pixels, to stride 16 at 448: MMDetection counts them from
# half of that.
regions = dict(featmap_strides=[8, 16, 32], finest_scale=112)
model = dict(
    # Tokens a side of a partition: input / 32, 28 at 896 and 20 at 640; tables stay 13 x 13 and are resized.
    backbone=dict(partition_size="scaled", out_indices=(1, 2, 3)),
    neck=dict(in_channels=[128, 256, 512]) | _base_.levels_3_to_7,
    rpn_head=dict(
        num_convs=2,
        anchor_generator=dict(
            _delete_=True,
            type="AnchorGenerator",
            octave_base_scale=3,
            scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128],
        ),
    ),
    roi_head=dict(
        num_stages=2,
        stage_loss_weights=[0.5, 0.5],  # the mean of the stages
        bbox_roi_extractor=regions,
        bbox_head=[box_head([0.1, 0.1, 0.2, 0.2]), box_head([0.05, 0.05, 0.1, 0.1])],
        mask_roi_extractor=regions,
        mask_head=dict(norm_cfg=_base_.norm),
    ),
    train_cfg=dict(rpn_proposal=dict(max_per_img=1000), rcnn=[stage(0.6, 0.5), stage(0.7, 0.7)]),
)
