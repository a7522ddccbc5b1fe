"""Train a detector: python tools/train.py configs/mask_rcnn_maxvit_t_coco.py [--data FOLDER]"""

import clone  # noqa: F401

from maxvit_mm.commands.train import main

if __name__ == "__main__":
    main()
