"""A detector's training, killed by the clock wherever that finds it, goes on as if it had not been."""

import time
from random import Random

import pytest
from kills import end, kill, start, train_detector
from runs import QUICK
from torch.testing import assert_close

from maxvit_mm.weights.checkpoint import load_from_local

SIX_STEPS = [*QUICK, "train_cfg.max_iters=6", "train_cfg.val_interval=9"]
SIX_STEPS += ["train_dataloader.num_workers=1", "train_dataloader.dataset.pipeline.2.scale_factor=0.4"]
SIX_STEPS += ["default_hooks.checkpoint.interval=1", "default_hooks.checkpoint.max_keep_ckpts=1"]
SIX_STEPS += ["val_dataloader=None", "val_cfg=None", "val_evaluator=None"]
SIX_STEPS += ["model.backbone.drop_path_rate=0.2"]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_detector_killed_by_the_clock_goes_on_as_if_it_had_not_been(seed, shapes, tmp_path):
    def run(work_dir, *resume):
        options = [*resume, "--cfg-options", *SIX_STEPS]
        return start(train_detector, shapes, tmp_path / work_dir, options, log=tmp_path / "log")

    began = time.monotonic()
    assert end(run("whole")) == [0]
    took = time.monotonic() - began
    training = run("killed")
    time.sleep(took * Random(seed).uniform(0.3, 0.95))
    kill(training)
    assert end(run("killed", "--resume")) == [0]
    whole, killed = (load_from_local(str(tmp_path / name / "iter_6.pth")) for name in ("whole", "killed"))
    assert killed["param_schedulers"] == whole["param_schedulers"]
    assert_close(killed["state_dict"], whole["state_dict"], rtol=0, atol=0)
    states = (each["optimizer"]["state"] for each in (killed, whole))
    assert_close(*states, rtol=0, atol=0)
