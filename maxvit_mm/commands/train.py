"""What `tools/train.py` does: train a detector as its config says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from mmengine.dist import get_world_size
from mmengine.runner import Runner

from ..measure.checkup import cheap_findings
from ..measure.gpu_memory import Finding
from ..openmmlab.config_checks import notes_on_the_start, require_checkpoint, require_data
from ..openmmlab.hardware import is_first_process, use_amp, use_float32
from ..openmmlab.hooks import unwrapped
from .launch import build_runner, clear_refusals, common_parser, describe, read_plan, said_once


@said_once
def main(argv: Sequence[str] | None = None) -> Runner:
    """The command line. Returns the runner, trained.

    Raises:
        SystemExit: with a sentence on what is the user's to mend, before anything is built if it can be seen.
    """
    parser = common_parser("Train a detector.")
    parser.add_argument("--amp", action="store_true", help="mixed precision, on a GPU")
    parser.add_argument(
        "--auto-scale-lr", action="store_true", help="scale the learning rate with the batch size"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from a checkpoint; without a name, from the latest in the work directory",
    )
    args = parser.parse_args(argv)
    cfg, folder = read_plan(args, ("train", "val"))
    describe(cfg, folder)
    require_data(cfg, ["train_dataloader", "val_dataloader"])
    if args.amp:
        use_amp(cfg)
    elif not torch.cuda.is_available():
        use_float32(cfg)
    if args.auto_scale_lr:
        if "base_batch_size" not in (cfg.get("auto_scale_lr") or {}):
            raise SystemExit(f"--auto-scale-lr: {args.config} sets no auto_scale_lr.base_batch_size")
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == "auto" else args.resume
    require_checkpoint(cfg)
    if is_first_process():
        for note in notes_on_the_start(cfg):
            print(note)
    runner = build_runner(cfg)
    images = folder.splits["train"].images if folder is not None else None
    heed(cheap_findings(cfg, unwrapped(runner.model), images, get_world_size()))
    with clear_refusals():
        runner.train()
    if is_first_process():
        print(f"checkpoints, curves.png, log and pictures are in {cfg.work_dir}")
    return runner


def heed(findings: Iterable[Finding]) -> None:
    """Say what a user may not have meant, and stop at what will make the training fail."""
    for finding in findings:
        if finding.level == "problem":
            raise SystemExit(f"{finding.about}: {finding.text}")
        if finding.level == "note" and is_first_process():
            print(f"note: {finding.about}: {finding.text}")
