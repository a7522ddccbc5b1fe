"""A detector trains in mixed precision on a GPU, is evaluated and resumed."""

import json

import pytest
import torch
from runs import PICO, TWO_STEPS

from maxvit_mm.commands.test import main as evaluate
from maxvit_mm.commands.train import main as train

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_a_detector_trains_is_evaluated_and_resumed_in_mixed_precision(device, shapes, tmp_path, half):
    amp = ["--amp"] if device.type == "cuda" else []  # on a CPU it is refused
    data = ["--data", str(shapes), "--work-dir", str(tmp_path / "w")]
    options = [*TWO_STEPS, *([f"optim_wrapper.dtype={half}"] if amp else [])]
    train([PICO, *data, *amp, "--cfg-options", *options])
    train([PICO, *data, *amp, "--resume", "--cfg-options", *options, "train_cfg.max_iters=4"])
    losses = [
        record["loss"]
        for log in sorted((tmp_path / "w").glob("*/vis_data/scalars.json"))
        for record in map(json.loads, log.read_text().splitlines())
        if "loss" in record
    ]
    assert len(losses) == 4
    assert all(torch.isfinite(torch.tensor(losses)))
    metrics = evaluate([PICO, str(tmp_path / "w/iter_4.pth"), "--data", str(shapes), "--deploy"])
    assert {"coco/bbox_mAP", "coco/segm_mAP"} <= metrics.keys()
