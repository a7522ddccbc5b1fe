# Detectors for images of some 200 pixels, small enough for two CPU cores: MaxViT-pico, a 64-channel FPN,
# narrow heads, few proposals. What a short run from scratch needs: BatchNorm in the neck and the mask head,
# and one regressor and one mask for all classes, which then learn from every object.
pico = dict(
    data_preprocessor=dict(pad_size_divisor=1),  # MaxViT takes any size
    backbone=dict(
        arch="pico",
        drop_path_rate=0.0,
        # The official momentum, 0.01, is slow for a run of some hundred steps.
        norm_cfg=dict(_delete_=True, type="BN", momentum=0.1),
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, norm_cfg=dict(type="BN")),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[4]),  # the smallest anchor: 4 x stride 4 = 16 pixels
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        mask_roi_extractor=dict(out_channels=64),
        mask_head=dict(
            num_convs=2,
            in_channels=64,
            conv_out_channels=64,
            norm_cfg=dict(type="BN"),
            class_agnostic=True,
        ),
    ),
    train_cfg=dict(rpn=dict(sampler=dict(num=128)), rpn_proposal=dict(nms_pre=500, max_per_img=200)),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=300), rcnn=dict(max_per_img=200)),
)
# Of each stage of boxes
pico_box = dict(in_channels=64, fc_out_channels=256, reg_class_agnostic=True)
pico_boxes_sampled = 64
