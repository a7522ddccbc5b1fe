"""The part of `tools/doctor.py` that reads a config and a folder: it needs a sound environment."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.config import Config

from ..data.folder import DataError, Folder
from ..measure.checkup import cheap_findings, costly_findings
from ..measure.config_cost import build
from ..measure.gpu_memory import GIB, Finding
from ..openmmlab.config_checks import notes_on_the_start, require_checkpoint, require_data
from ..openmmlab.tasks import task_for, task_of
from .launch import read_plan
from .options import training_parser


def findings(options: argparse.Namespace) -> Iterator[Finding]:
    """What a training by this config, on this folder, will meet here.

    Args:
        options: of `tools/doctor.py`.
    """
    if options.config is None:
        try:
            yield from of_data(task_for(Path(options.data)).look(Path(options.data)))
        except DataError as error:
            yield Finding("problem", "data", str(error))
        return
    argv = [options.config]
    for option in ("data", "work_dir"):
        value = getattr(options, option)
        argv += [f"--{option.replace('_', '-')}", value] if value else []
    argv += ["--cfg-options", *options.cfg_options] if options.cfg_options else []
    try:
        asked = training_parser("").parse_args(argv)
        asked.processes = options.gpus or max(1, torch.cuda.device_count())
        cfg, folder, plan = read_plan(asked, ("train", "val"))
    except SystemExit as refusal:
        about = "data" if isinstance(refusal.__cause__, DataError) else "config"
        yield Finding("problem", about, str(refusal))
        return
    yield Finding("ok", "config", f"{options.config} is read, with all options")
    if folder is None:
        try:
            require_data(cfg, ["train_dataloader", "val_dataloader"])
        except SystemExit as refusal:
            yield Finding("problem", "data", str(refusal))
    else:
        yield from of_data(folder)
        for note in task_of(cfg).notes(cfg, folder):
            yield Finding("note", "data", note)
    if plan is not None:
        yield Finding("ok", "plan", "\n".join(line.strip() for line in plan.lines()))
        for note in plan.notes():
            yield Finding("note", "plan", note)
    yield from of_a_run(cfg, folder, options)


def of_a_run(cfg: Config, folder: Folder | None, options: argparse.Namespace) -> Iterator[Finding]:
    """What a training by a config that can be read will meet here."""
    try:
        require_checkpoint(cfg)
    except SystemExit as refusal:
        yield Finding("problem", "weights", str(refusal))
        return
    for note in notes_on_the_start(cfg, task_of(cfg).from_released):
        yield Finding("note", "start", note.removeprefix("note: "))
    here = [torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())]
    gpus = [int(options.gpu_memory * GIB)] if options.gpu_memory else here
    processes = options.gpus or max(1, len(here))
    costly = list(costly_findings(cfg, gpus))
    yield from costly
    if costly[0].level == "ok":  # it can be built
        images = folder.splits["train"].images if folder is not None else None
        yield from cheap_findings(cfg, build(cfg), images, processes)


def of_data(folder: Folder) -> Iterator[Finding]:
    """The summary of a folder, and each of its notes."""
    summary = folder.describe(width=80).split("\nnote: ")[0]
    yield Finding("ok", "data", summary)
    for note in folder.notes:
        yield Finding("note", "data", note)
