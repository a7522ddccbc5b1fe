# MaxViT-T on ImageNet-1k from scratch at 224, by the paper's table 12. Published top-1: 83.62 % (paper).
#
#   bash tools/dist_train.sh configs/classification/maxvit_t_in1k.py 8 --epochs 300 --auto-scale-lr
_base_ = [
    "../_base_/classifier.py",
    "../_base_/imagenet_224.py",
    "../_base_/schedule_in1k.py",
    "../_base_/classification_runtime.py",
]
