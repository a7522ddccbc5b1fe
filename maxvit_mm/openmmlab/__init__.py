"""What configs name: the backbone, hooks, learning rates, and the ops that mmcv-lite lacks."""
