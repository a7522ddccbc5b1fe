# Panoptic FPN on MaxViT-pico, from scratch on the embedded data set, in minutes on two CPU cores: Mask R-CNN
# with a semantic head on the same FPN, and what both find laid over each other.
#
#   python tools/make_shapes.py data/shapes
#   python tools/train.py configs/panoptic_fpn_maxvit_pico_shapes.py
_base_ = [
    "./_base_/mask_rcnn_maxvit_pico_fpn.py",
    "./_base_/shapes_panoptic.py",
    "./_base_/run_shapes.py",
]

things, stuff = 4, 1
model = dict(
    type="PanopticFPN",
    # The semantic head adds maps of all levels, so that each has to be half of the one before.
    data_preprocessor=dict(pad_size_divisor=32, pad_seg=True, seg_pad_value=255),
    roi_head=dict(bbox_head=dict(num_classes=things), mask_head=dict(num_classes=things)),
    semantic_head=dict(
        type="PanopticFPNHead",
        num_things_classes=things,
        num_stuff_classes=stuff,
        in_channels=64,
        inner_channels=64,
        norm_cfg=dict(type="BN"),
        loss_seg=dict(type="CrossEntropyLoss", ignore_index=255, avg_non_ignore=True, loss_weight=0.5),
    ),
    panoptic_fusion_head=dict(type="HeuristicFusionHead", num_things_classes=things, num_stuff_classes=stuff),
    # As MMDetection's Panoptic FPN, whose limit is 4096 pixels for images of ten times the area
    test_cfg=dict(
        rcnn=dict(score_thr=0.6, nms=dict(class_agnostic=True), max_per_img=100),
        panoptic=dict(mask_overlap=0.5, stuff_area_limit=400),
    ),
)
# The box head counts things alone, the data set things and stuff: no comparison of the two.
custom_hooks = [check for check in _base_.checks if check.type != "NumClassCheckHook"]
