from conftest import ROOT
from runs import refusal

from maxvit_mm.openmmlab.shipped_configs import find_config


def test_a_config_is_found_by_its_path_or_by_the_name_of_one_of_ours():
    path = ROOT / "configs/mask_rcnn_maxvit_t_coco.py"
    for name in (path, "mask_rcnn_maxvit_t_coco", "configs/mask_rcnn_maxvit_t_coco.py"):
        assert find_config(str(name)).samefile(path)
    message = refusal(lambda names: find_config(*names), "mask_rcnn_maxvit_q_coco")
    assert "nearest of ours: mask_rcnn_maxvit_" in message
    assert "mask_rcnn_maxvit_pico_shapes" in refusal(lambda names: find_config(*names), "yolo")  # all of them
    mistyped = "/elsewhere/mask_rcnn_maxvit_t_coco.py"  # not ours in its stead
    assert refusal(lambda names: find_config(*names), mistyped) == f"there is no config {mistyped}"


def test_a_file_that_is_no_config_is_refused_by_name(tmp_path):
    checkpoint = tmp_path / "iter_1000.pth"
    checkpoint.touch()
    message = refusal(lambda names: find_config(*names), str(checkpoint))
    assert message == f"{checkpoint} is no config, whose name ends in .py, .json, .yaml, .yml"
