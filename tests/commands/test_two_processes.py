"""Each task is trained, drawn and tested by two processes, as `tools/dist_train.sh` starts them."""

from functools import partial

import pytest
from kills import by_command, end, start
from runs import PICO, QUICK

from maxvit_mm.data.shapes import make_shapes

CONFIGS = {
    PICO: make_shapes,
    "upernet_maxvit_pico_shapes": make_shapes,
    "maxvit_pico_shapes_classes": partial(make_shapes, task="classification"),
}
SHORT = [*QUICK, "default_hooks.visualization.interval=1", "default_hooks.checkpoint.interval=1"]


@pytest.mark.parametrize("config", CONFIGS)
def test_two_processes_train_draw_and_test(config, tmp_path):
    data = CONFIGS[config](tmp_path / "data", train=8, val=4)
    work_dir, log = tmp_path / "work", tmp_path / "log"
    training = [config, "--data", str(data), "--work-dir", str(work_dir), "--max-steps", "1"]
    ended = end(start(by_command, "train", [*training, "--cfg-options", *SHORT], log=log, processes=2))
    said = [(tmp_path / f"log.{rank}").read_text() for rank in (0, 1)]
    assert ended == [0, 0], said
    assert list(work_dir.glob("*/vis_data/vis_image/*.png"))
    assert "Traceback" not in said[1]
    testing = [str(work_dir / "iter_1.pth"), "--show-dir", str(tmp_path / "drawn")]
    ended = end(start(by_command, "test", [*testing, "--cfg-options", *QUICK], log=log, processes=2))
    assert ended == [0, 0], [(tmp_path / f"log.{rank}").read_text() for rank in (0, 1)]
    assert list((tmp_path / "drawn").iterdir())
