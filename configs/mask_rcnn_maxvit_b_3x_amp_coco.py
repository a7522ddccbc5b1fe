_base_ = "./mask_rcnn_maxvit_b_3x_coco.py"
optim_wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16")  # float16 on GPUs before Ampere
