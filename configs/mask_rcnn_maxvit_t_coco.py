# Mask R-CNN, MaxViT-T, FPN, COCO 2017 under data/coco, 1x schedule.
#
#   python tools/train.py configs/mask_rcnn_maxvit_t_coco.py
#   bash tools/dist_train.sh configs/mask_rcnn_maxvit_t_coco.py 8
#   python tools/train.py configs/mask_rcnn_maxvit_t_coco.py --data FOLDER   (your own images)
#
# From ImageNet weights, converted by tools/convert_weights.py, add to any of these
#
#   --cfg-options model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=maxvit_t.pth
#
# No AP is stated: nobody has trained it on full COCO yet.
_base_ = [
    "./_base_/mask_rcnn_maxvit_fpn.py",
    "mmdet::_base_/datasets/coco_instance.py",
    "./_base_/schedule_1x.py",
    "./_base_/runtime.py",
]
