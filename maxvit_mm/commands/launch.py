"""What `tools/train.py` and `tools/test.py` share: options, and checks before anything is built.

Building, training and testing are MMEngine's `Runner`.
"""

from __future__ import annotations

import argparse
import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from mmdet.utils import setup_cache_size_limit_of_dynamo
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from ..data.coco_folder import CocoFolder, DataError, inspect
from ..openmmlab.config_checks import (
    check_checkpoints,
    check_loops,
    check_model,
    check_options,
    complete_options,
    notes_on_the_data,
    trains_masks,
)
from ..openmmlab.hardware import is_first_process, use_gloo
from ..openmmlab.retarget import decoder_of, filter_of, point_config_at, read_by_name
from ..openmmlab.shipped_configs import find_config
from ..weights import CheckpointError

PATIENCE = 15  # seconds
Result = TypeVar("Result")


def common_parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("config", help="a config file, or the name of one of ours")
    parser.add_argument("--work-dir", help="for logs and checkpoints (work_dirs/<name of the config>)")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="your own images: a folder in COCO's format, with a train and a val split; sets paths, "
        "class names and every num_classes",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help='change the config: optim_wrapper.optimizer.lr=1e-4, key="[a,b]"',
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # torch.distributed.launch passes the rank in this way; torchrun sets the variable itself.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    return parser


class Plan(NamedTuple):
    """A config with the command line's changes, and the folder of `--data`."""

    cfg: Config
    folder: CocoFolder | None


def read_config(args: argparse.Namespace, splits: Sequence[str]) -> Config:
    """The config of `read_plan`; says what is in the folder."""
    cfg, folder = read_plan(args, splits)
    describe(cfg, folder)
    return cfg


def describe(cfg: Config, folder: CocoFolder | None) -> None:
    """Say what is in the folder of `--data`."""
    if folder is not None and is_first_process():
        print("\n".join([folder.describe(), *notes_on_the_data(cfg, folder)]))


def read_plan(args: argparse.Namespace, splits: Sequence[str]) -> Plan:
    """The config with the command line's changes: `--data` first, so that `--cfg-options` can correct it.

    Args:
        splits: those that `--data` must have.

    Raises:
        SystemExit: with a sentence on what is wrong.
    """
    folder = None
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    setup_cache_size_limit_of_dynamo()
    path = find_config(args.config)
    cfg = Config.fromfile(path)
    check_options(cfg, args.cfg_options or {})
    if args.data is not None:
        meant = with_options(cfg, args.cfg_options)
        with clear_refusals():
            folder = inspect(
                Path(args.data), trains_masks(meant), splits, decoder_of(meant), filter_of(meant)
            )
            point_config_at(cfg, folder)
    cfg = with_options(cfg, args.cfg_options)
    read_by_name(cfg)
    complete_options(cfg)
    check_model(cfg.model)
    check_loops(cfg)
    check_checkpoints(cfg)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or str(Path("work_dirs") / path.stem)
    if args.launcher == "pytorch" and not torch.cuda.is_available():
        use_gloo(cfg)
    return Plan(cfg, folder)


def with_options(cfg: Config, options: dict[str, Any] | None) -> Config:
    """A copy, changed as `--cfg-options` says."""
    cfg = deepcopy(cfg)
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError) as error:
        raise SystemExit(f"--cfg-options: {error}") from error
    return cfg


def build_runner(cfg: Config) -> Runner:
    with clear_refusals():
        return Runner.from_cfg(cfg)


def said_once(command: Callable[..., Result]) -> Callable[..., Result]:
    """A command that, run in several processes, refuses in the words of the first alone.

    The others wait for the launcher to end them with it. Where it does not, the reason was theirs alone.
    """

    @wraps(command)
    def quietly(argv: Sequence[str] | None = None) -> Result:
        try:
            return command(argv)
        except SystemExit as stop:
            if stop.code and not is_first_process():
                time.sleep(PATIENCE)
            raise

    return quietly


@contextmanager
def clear_refusals() -> Iterator[None]:
    """End with a message, instead of a traceback, on what is the user's to mend."""
    try:
        yield
    except (DataError, CheckpointError) as error:
        raise SystemExit(str(error)) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SystemExit(
            f"the disk is full ({error}): the checkpoints that are there are whole: make room, add --resume"
        ) from error
    except KeyboardInterrupt:
        raise SystemExit("interrupted; --resume goes on from the last checkpoint") from None
