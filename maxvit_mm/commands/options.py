"""The options of `tools/train.py` and `tools/test.py`."""

from __future__ import annotations

import argparse
import math
from typing import Any

from mmengine.config import DictAction

from ..openmmlab.image_size import parse_scale


class Parser(argparse.ArgumentParser):
    """Takes options between its arguments, where the first of these may be left out."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        return self.parse_intermixed_args(args, namespace)


def common_parser(description: str) -> argparse.ArgumentParser:
    parser = Parser(description=description)
    parser.add_argument("config", nargs="?", help="a config file, or the name of one of ours")
    parser.add_argument("--work-dir", help="for logs and checkpoints (work_dirs/<the config's name>)")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="your own images: a folder with a train and a val split, as the config's task has it; sets "
        "paths, class names and every num_classes",
    )
    parser.add_argument(
        "--classes", nargs="+", metavar="NAME", help="of --data: these classes alone, in this order"
    )
    parser.add_argument(
        "--img-scale",
        type=parse_scale,
        metavar="S or WxH",
        help="train and test with images of at most so many pixels: the longer side, or both",
    )
    add_cfg_options(parser, "optim_wrapper.optimizer.lr=1e-4")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # torch.distributed.launch passes the rank in this way; torchrun sets the variable itself.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def add_cfg_options(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help=f'change the config: {example}, key="[a,b]"',
    )


def training_parser(description: str) -> argparse.ArgumentParser:
    """`common_parser`, with what a training may be asked for."""
    parser = common_parser(description)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=positive, metavar="N", help="train for so many epochs")
    length.add_argument("--max-steps", type=positive, metavar="N", help="train for so many steps")
    parser.add_argument("--batch-size", type=positive, metavar="N", help="images a step, of each GPU")
    parser.add_argument("--lr", type=rate, metavar="X", help="the learning rate after the warm-up")
    parser.add_argument(
        "--as-configured",
        action="store_true",
        help="with --data: keep the config's own length, learning rate, warm-up, intervals and image size",
    )
    return parser


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def rate(text: str) -> float:
    """A number above 0."""
    if not 0 < float(text) < math.inf:
        raise ValueError(text)
    return float(text)
