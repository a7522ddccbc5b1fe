import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper

from maxvit_mm.openmmlab.hardware import use_float32
from maxvit_mm.openmmlab.shipped_configs import find_config


def test_mixed_precision_of_a_config_falls_back_to_float32_without_a_gpu(capsys):
    cfg = Config.fromfile(find_config("cascade_mask_rcnn_maxvit_t_640_coco"))
    use_float32(cfg)
    assert "using float32" in capsys.readouterr().out
    wrapper = build_optim_wrapper(torch.nn.Linear(2, 2), cfg.optim_wrapper)
    assert type(wrapper) is OptimWrapper
    assert wrapper.optimizer.defaults["lr"] == 2e-3
