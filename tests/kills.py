"""Trainings in processes of their own, which can be killed: a toy, in less than a second, and a detector.

A fork server imports everything once. Each training is forked from it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import mmengine.runner.runner
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from runs import PICO
from torch import nn
from torch.utils.data import Dataset

import maxvit_mm  # noqa: F401  (MMEngine's CheckpointHook is ours, then)
from maxvit_mm.data.coco_folder import inspect
from maxvit_mm.openmmlab.hardware import use_gloo
from maxvit_mm.openmmlab.retarget import point_config_at
from maxvit_mm.openmmlab.shipped_configs import find_config

PRETTY_TEXT = Config.pretty_text
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["kills"])


def serve_forks() -> None:
    """Start the fork server, which finds what it is to import on PYTHONPATH alone."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    forkserver.ensure_running()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def start(work: Callable, *arguments: Any, log: Path, processes: int = 1) -> list[Any]:
    """Run `work(*arguments)` in so many processes."""
    serve_forks()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = [
        FORKS.Process(target=alone, args=(work, arguments, log, rank, processes, port))
        for rank in range(processes)
    ]
    for process in started:
        process.start()
    return started


def alone(work: Callable, arguments: tuple, log: Path, rank: int, processes: int, port: int) -> None:
    """What each process does: `work`, as one of so many, its words in a file."""
    words = os.open(f"{log}.{rank}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(words, stream)
    os.environ.update(OMP_NUM_THREADS="1", RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if Path("/sys/class/net/lo").exists():
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    signal.alarm(300)  # should it hang
    # What takes most of a short run: the config, laid out for each checkpoint, and a look at the machine.
    Config.pretty_text = property(lambda cfg: "")
    mmengine.runner.runner.collect_env = dict
    work(*arguments)


def end(processes: list[Any]) -> list[int]:
    """Wait for all. Once one is killed, the others are, as a launcher does it."""
    while any(process.is_alive() for process in processes):
        if any(process.exitcode for process in processes):
            kill(processes)
        processes[0].join(0.01)
    return [process.exitcode for process in processes]


def kill(processes: list[Any]) -> None:
    for process in processes:
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        process.join()


# --- the toy ---


@DATASETS.register_module()
class Noise(Dataset):
    """Eight vectors, each augmented with noise whenever it is read."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        drawn = np.random.rand(3) + random.random()
        return dict(inputs=torch.tensor([index, *drawn]), samples=index)


@MODELS.register_module()
class Toy(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))

    def forward(self, inputs: torch.Tensor, samples: torch.Tensor, mode: str) -> Any:
        out = self.layers(inputs.float())
        return dict(loss=(out - 1).square().mean()) if mode == "loss" else [out.sum()]


@METRICS.register_module()
class Rising:
    """A metric that is better at each evaluation, so that each is the best one so far."""

    def __init__(self) -> None:
        self.dataset_meta: dict = {}

    def process(self, *seen: Any) -> None: ...

    def evaluate(self, size: int) -> dict:
        from mmengine.logging import MessageHub

        return {"acc": MessageHub.get_current_instance().get_info("iter") / 100}


@HOOKS.register_module()
class KillAt(Hook):
    """SIGKILL at the n-th time that this process opens, moves or removes a file of its training."""

    def __init__(self, event: int) -> None:
        self.left, self.folder = event, ""

    def before_train(self, runner: Runner) -> None:
        self.folder = str(runner.work_dir)
        sys.addaudithook(self.count)

    def count(self, event: str, arguments: tuple) -> None:
        if event not in ("open", "os.rename", "os.remove"):
            return
        path = str(arguments[0])
        if path.startswith(self.folder) and (".pth" in path or "last_checkpoint" in path):
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class FullDisk(Hook):
    """From a step on, no file can be written that is larger than a few lines."""

    def __init__(self, step: int) -> None:
        self.step = step

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


@HOOKS.register_module()
class Steps(Hook):
    """Each step of the first process with its loss, a line each, in a file of the work directory."""

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any, outputs: dict) -> None:
        if runner.rank == 0:
            with Path(runner.work_dir, "steps").open("a") as file:
                file.write(f"{runner.iter} {outputs['loss'].item()!r}\n")


def steps_in(work_dir: Path) -> list[tuple[int, float]]:
    file = work_dir / "steps"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(step), float(loss)) for step, loss in map(str.split, lines)]


def toy_config(work_dir: Path, by_epoch: bool, average: bool, resume: bool, **changes: Any) -> Config:
    """Four steps of two epochs, or twelve of iterations; a checkpoint each second step, the last one kept."""
    loader = dict(
        dataset=dict(type="Noise"), batch_size=2, num_workers=0, collate_fn=dict(type="default_collate")
    )
    sampler = "DefaultSampler" if by_epoch else "InfiniteSampler"
    hooks = [
        dict(type="ReseedHook"),
        dict(type="Steps"),
        *([dict(type="EMAHook", momentum=0.1)] if average else []),
    ]
    cfg = dict(
        custom_imports=dict(imports=["maxvit_mm"]),
        model=dict(type="Toy"),
        work_dir=str(work_dir),
        train_dataloader=dict(loader, sampler=dict(type=sampler, shuffle=True)),
        val_dataloader=dict(loader, sampler=dict(type="DefaultSampler", shuffle=False)),
        val_cfg=dict(),
        val_evaluator=dict(type="Rising"),
        train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1)
        if by_epoch
        else dict(by_epoch=False, max_iters=6, val_interval=2),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.01)),
        param_scheduler=[dict(type="ExponentialLR", gamma=0.9, by_epoch=by_epoch)],
        default_hooks=dict(
            checkpoint=dict(
                type="CheckpointHook",
                by_epoch=by_epoch,
                interval=1 if by_epoch else 2,
                max_keep_ckpts=1,
                save_best="acc",
            )
        ),
        custom_hooks=hooks,
        randomness=dict(seed=5),
        resume=resume,
        log_level="WARNING",
        experiment_name=f"toy{time.monotonic_ns()}",
    )
    cfg = Config(cfg)
    cfg.merge_from_dict(changes)
    return cfg


def train_toy(arguments: tuple, changes: dict, processes: int = 1, kill_at: int | None = None) -> None:
    cfg = toy_config(*arguments, **changes)
    if processes > 1:
        cfg.launcher = "pytorch"
        use_gloo(cfg)
    if kill_at is not None:
        cfg.custom_hooks.append(dict(type="KillAt", event=kill_at))
    Runner.from_cfg(cfg).train()


# --- a detector that is told the truth ---


@MODELS.register_module()
class Oracle(BaseModel):
    """Finds what is there, shifted and scored by chance, and the same for an image whoever looks at it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.weight = torch.nn.Parameter(torch.zeros(1))  # without one, PyTorch does not distribute it

    def forward(self, inputs: Any, data_samples: list, mode: str) -> list:
        for sample in data_samples:
            chance = np.random.default_rng(sample.img_id)
            truth = sample.gt_instances
            count = len(truth)
            sample.pred_instances = InstanceData(
                bboxes=torch.as_tensor(truth.bboxes + chance.normal(0, 3, (count, 4))).float(),
                labels=torch.where(torch.from_numpy(chance.random(count)) < 0.8, truth.labels, 0),
                scores=torch.from_numpy(chance.random(count)).float(),
                masks=torch.from_numpy(np.roll(truth.masks.to_ndarray(), 2, axis=2).astype(bool)),
            )
        return data_samples


def evaluate(data: Path, out: Path, processes: int) -> None:
    """The AP of the oracle, written by the first of so many processes."""
    cfg = Config.fromfile(find_config(PICO))
    point_config_at(cfg, inspect(data, masks=True))
    cfg.merge_from_dict(
        dict(
            work_dir=str(out.with_suffix("")),
            model=dict(_delete_=True, type="Oracle", data_preprocessor=dict(type="DetDataPreprocessor")),
            test_dataloader=dict(batch_size=2, num_workers=0, persistent_workers=False),
            default_hooks=dict(visualization=dict(draw=False)),
            custom_hooks=[],
        )
    )
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    if processes > 1:
        cfg.launcher = "pytorch"
        use_gloo(cfg)
    metrics = Runner.from_cfg(cfg).test()
    if int(os.environ["RANK"]) == 0:
        out.write_text(json.dumps(metrics))


# --- a detector ---


def train_detector(data: Path, work_dir: Path, options: list[str]) -> None:
    """The demo's detector as a user trains it, by `tools/train.py`."""
    from maxvit_mm.commands.train import main

    main([PICO, "--data", str(data), "--work-dir", str(work_dir), *options])


def by_command(command: str, arguments: list[str]) -> None:
    """`tools/train.py` or `tools/test.py`, as a launcher of several processes starts it."""
    from importlib import import_module

    Config.pretty_text = PRETTY_TEXT  # of which a checkpoint is made that is tested
    import_module(f"maxvit_mm.commands.{command}").main([*arguments, "--launcher", "pytorch"])
