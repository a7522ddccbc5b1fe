"""What is said of a loss, and what is not."""

import math
from types import SimpleNamespace

import pytest

from maxvit_mm.openmmlab.watching import LossWatchHook


def said_of(losses, names="loss", **wrapper):
    """What the hook tells a logger that only keeps it."""
    said = []
    optim = SimpleNamespace(param_groups=[{"lr": 0.01}], **wrapper)
    runner = SimpleNamespace(
        iter=0, optim_wrapper=optim, logger=SimpleNamespace(info=said.append, warning=said.append)
    )
    hook = LossWatchHook()
    hook.before_train(runner)
    for runner.iter, loss in enumerate(losses):
        hook.after_train_iter(runner, 0, None, dict.fromkeys((names, "loss"), loss))
    return said


def test_a_loss_that_rises_for_long_is_noted_once():
    falling = [3 * math.exp(-step / 50) + 1 for step in range(300)]
    (said,) = said_of([*falling, *[2.5] * 700])
    assert said.startswith("the loss has been rising: ")


def test_a_loss_that_jumps_about_is_no_matter():
    assert said_of([1 + 0.9 * math.sin(step) + (step % 37 == 0) for step in range(2000)]) == []


def test_a_large_first_loss_is_explained():
    (said,) = said_of([21.0, 5.0], names="loss_mask")
    assert said.startswith("loss_mask begins at 21. From random weights that is usual")


def test_mixed_precision_may_look_for_its_scale():
    assert said_of([1.0, *[math.inf] * 19, 1.0, *[math.inf] * 19, 1.0], loss_scaler=object()) == []
    with pytest.raises(SystemExit, match="at step 21: no finite value for loss"):
        said_of([1.0, *[math.inf] * 20], loss_scaler=object())
    with pytest.raises(SystemExit, match="at step 2: "):
        said_of([1.0, math.nan])
