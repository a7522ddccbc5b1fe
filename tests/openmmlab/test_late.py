"""No step waits for the GPU because of its losses, and none is left out."""

import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from reads import counted_reads, no_reads
from runs import HALF, PICO, QUICK
from torch import nn

from maxvit_mm.commands.train import main as train
from maxvit_mm.openmmlab import late
from maxvit_mm.openmmlab.late import Late, LateInfoHook
from maxvit_mm.openmmlab.runner import TrainingRunner
from maxvit_mm.openmmlab.watching import LossWatchHook


@pytest.fixture
def gpu(monkeypatch):
    """Tensors pass for a GPU's. Waiting for one is noted, and reads what had been copied by then."""
    waited = []

    class Event:
        def record(self, stream):
            self.number = len(waited)

        def synchronize(self):
            waited.append(self)

    monkeypatch.setattr(late, "on_gpu", lambda value: isinstance(value, torch.Tensor))
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    return waited


def runner_of(optimizer=None, interval=10_000):
    """As much of a runner as the two hooks look at."""
    logger = SimpleNamespace(info=print, warning=print)
    return SimpleNamespace(
        **dict(iter=0, epoch=0, max_iters=99, max_epochs=1, hooks=[LoggerHook(interval=interval)]),
        optim_wrapper=optimizer
        or SimpleNamespace(param_groups=[{"lr": 0.01}], get_lr=lambda: {"lr": [0.01]}),
        message_hub=MessageHub(f"late {id(logger)}"),
        train_dataloader=SimpleNamespace(dataset=None, __len__=lambda: 0),
        logger=logger,
    )


@pytest.fixture
def endless(monkeypatch):
    monkeypatch.setattr(LateInfoHook, "end_of_epoch", lambda *_: False)


def trained(runner, hook, losses, read=no_reads):
    for runner.iter, loss in enumerate(losses):
        outputs = {
            "loss": torch.tensor(loss),
            "loss_box": torch.tensor(loss / 2),
            "acc": torch.tensor([50.0]),
        }
        with read():
            hook.after_train_iter(runner, runner.iter, None, outputs)


def noted(runner, name="loss"):
    scalars = runner.message_hub.log_scalars
    return list(scalars[f"train/{name}"].data[0]) if f"train/{name}" in scalars else []


def test_our_hook_is_in_every_run():
    assert HOOKS.get("RuntimeInfoHook") is LateInfoHook


def test_values_are_read_once_they_are_there(gpu):
    outputs = {"loss": torch.tensor(1.5), "acc": torch.tensor([2], dtype=torch.int64), "factor": 3}
    with no_reads():
        values = Late(outputs)
    assert not gpu
    assert values.read() == {"factor": 3.0, "loss": 1.5, "acc": 2.0}
    assert len(gpu) == 1


def test_a_step_is_noted_when_the_next_one_was_launched(gpu, endless):
    runner, hook = runner_of(), LateInfoHook()
    hook.before_train(runner)
    trained(runner, hook, [3.0, 2.0, 1.0])
    assert noted(runner) == [3.0, 2.0]
    hook.after_train(runner)
    assert noted(runner) == [3.0, 2.0, 1.0]
    assert noted(runner, "loss_box") == [1.5, 1.0, 0.5]
    assert noted(runner, "acc") == [50.0] * 3


def test_a_logger_and_a_checkpoint_find_all_steps(gpu, endless):
    runner, hook = runner_of(interval=2), LateInfoHook()
    hook.before_train(runner)
    trained(runner, hook, [4.0, 3.0])
    assert noted(runner) == [4.0, 3.0]
    trained(runner, hook, [2.0])
    checkpoint = {"message_hub": runner.message_hub.state_dict()}
    hook.before_save_checkpoint(runner, checkpoint)
    assert list(checkpoint["message_hub"]["log_scalars"]["train/loss"].data[0]) == [4.0, 3.0, 2.0]


def test_on_a_cpu_nothing_is_late(endless):
    runner, hook = runner_of(), LateInfoHook()
    hook.before_train(runner)
    hook.after_train_iter(runner, 0, None, {"loss": torch.tensor(2.0, requires_grad=True)})
    assert noted(runner) == [2.0]


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_gradients_are_clipped_and_their_norm_is_not_waited_for(gpu, endless, kind):
    network = nn.Linear(3, 1, bias=False)
    clip = dict(max_norm=1.0) if kind == "norm" else dict(clip_value=0.1, type="value")
    wrapper = OptimWrapper(torch.optim.SGD(network.parameters(), lr=0.0), clip_grad=clip)
    runner, hook = runner_of(wrapper), LateInfoHook()
    hook.before_train(runner)
    hook.before_train(runner)  # trained once more
    loss = network(torch.full((1, 3), 4.0)).sum()
    with no_reads():
        wrapper.update_params(loss)  # MMEngine's own would read the norm
        hook.after_train_iter(runner, 0, None, {"loss": loss})
    hook.after_train(runner)
    assert noted(runner, "grad_norm") == ([pytest.approx(48**0.5)] if kind == "norm" else [])


def test_without_clipping_nothing_is_changed(gpu):
    wrapper = OptimWrapper(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.0))
    LateInfoHook().before_train(runner_of(wrapper))
    assert not hasattr(wrapper, "clip_func")


def watched(losses, then="after_train"):
    runner, hook = runner_of(), LossWatchHook()
    hook.before_train(runner)
    trained(runner, hook, losses)
    getattr(hook, then)(runner, *([{}] if then == "before_save_checkpoint" else []))


def test_a_lost_step_stops_the_training_a_step_later_under_its_own_number(gpu):
    with pytest.raises(SystemExit, match=r"stopped at step 2: no finite value for loss, loss_box"):
        watched([1.0, math.nan, 1.0, 1.0], then="after_run")


@pytest.mark.parametrize("then", ["before_val", "before_save_checkpoint", "after_train"])
def test_a_lost_step_is_neither_evaluated_nor_saved(gpu, then):
    with pytest.raises(SystemExit, match="stopped at step 3"):
        watched([1.0, 1.0, math.nan], then)


def test_the_watch_comes_before_the_checkpoint_in_a_step():
    assert CheckpointHook.priority == "VERY_LOW"
    assert LossWatchHook.priority == "NORMAL"


@pytest.mark.usefixtures("elsewhere", "endless")
def test_no_hook_of_a_training_waits_at_a_step(gpu, shapes, tmp_path, monkeypatch):
    """Of all hooks that a run has, MMEngine's and MMDetection's among them."""
    call, seen = TrainingRunner.call_hook, []

    def watched_call(runner, name, **arguments):
        if name not in ("before_train_iter", "after_train_iter"):
            call(runner, name, **arguments)
            return
        with counted_reads() as reads:
            call(runner, name, **arguments)
        seen.append((name, reads))

    monkeypatch.setattr(TrainingRunner, "call_hook", watched_call)
    options = [*QUICK, *HALF, "train_cfg.max_iters=3", "train_cfg.val_begin=9"]
    train([PICO, "--data", str(shapes), "--work-dir", str(tmp_path), "--cfg-options", *options])
    assert seen == [("before_train_iter", []), ("after_train_iter", [])] * 3
    assert len(gpu) == 6  # each step once by each of our two hooks
