_base_ = "./cascade_mask_rcnn_maxvit_b_coco.py"
optim_wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16")  # float16 on GPUs before Ampere
