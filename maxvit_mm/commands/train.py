"""What `tools/train.py` does: train a detector, a segmenter or a classifier, as the config says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from mmengine.dist import get_world_size
from mmengine.runner import Runner

from ..measure.checkup import cheap_findings
from ..measure.gpu_memory import Finding
from ..openmmlab.config_checks import notes_on_the_start, require_checkpoint, require_data
from ..openmmlab.differing import differences
from ..openmmlab.hardware import is_first_process, use_amp, use_float32
from ..openmmlab.hooks import unwrapped
from ..openmmlab.resuming import checkpoint_to_resume
from ..openmmlab.tasks import task_of
from ..openmmlab.training_plan import TrainingPlan
from .launch import build_runner, describe, read_plan, trained_with
from .options import training_parser
from .refusals import clear_refusals, said_once
from .trained import note_differences


@said_once
def main(argv: Sequence[str] | None = None) -> Runner:
    """The command line. Returns the runner, trained.

    Raises:
        SystemExit: with a sentence on what is the user's to mend, before anything is built if it can be seen.
    """
    parser = training_parser("Train a detector, a segmenter or a classifier, as the config says.")
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
    resumed = None
    if args.config is None:
        resumed = args.resume = checkpoint_of_resume(args.resume, args.work_dir)
    if args.auto_scale_lr:
        args.cfg_options = {**(args.cfg_options or {}), "auto_scale_lr.enable": True}
    cfg, folder, plan = read_plan(args, ("train", "val"), resumed)
    describe(cfg, folder)
    require_data(cfg, ["train_dataloader", "val_dataloader"])
    if args.amp:
        use_amp(cfg)
    elif not torch.cuda.is_available():
        use_float32(cfg)
    if args.auto_scale_lr and "base_batch_size" not in cfg.auto_scale_lr:
        raise SystemExit(f"--auto-scale-lr: {args.config} sets no auto_scale_lr.base_batch_size")
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == "auto" else args.resume
    require_checkpoint(cfg)
    start = checkpoint_in(cfg.work_dir) if args.resume == "auto" else args.resume
    if args.config is not None and start is not None:
        own = trained_with(start).cfg
        if own is not None:
            note_differences(differences(cfg, own), "go on")
    if is_first_process():
        follows = folder is not None and not args.as_configured
        for line in [*said(plan, follows), *notes_on_the_start(cfg, task_of(cfg).from_released)]:
            print(line)
    runner = build_runner(cfg)
    images = folder.splits["train"].images if folder is not None else None
    heed(cheap_findings(cfg, unwrapped(runner.model), images, get_world_size()))
    with clear_refusals(cfg.work_dir):
        runner.train()
    if is_first_process():
        print(f"checkpoints, curves.png and log are in {cfg.work_dir}")
        pictures = Path(runner.log_dir) / "vis_data/vis_image"
        if pictures.is_dir():
            print(f"pictures of the validation, with truth and prediction, are in {pictures}")
    return runner


def checkpoint_of_resume(named: str | None, work_dir: str | None) -> str:
    """The checkpoint to go on from, where no config is named: its own is taken.

    Raises:
        SystemExit: where there is none.
    """
    if named is None:
        raise SystemExit(
            "name a config: a file, or one of ours such as mask_rcnn_maxvit_t_coco. Only --resume needs none"
        )
    if named != "auto":
        return named
    if work_dir is None:
        raise SystemExit("--resume without a config: name the checkpoint, or its folder by --work-dir")
    found = checkpoint_in(work_dir)
    if found is None:
        raise SystemExit(f"--resume: there is no checkpoint in {work_dir}: name a config to start a training")
    return found


def checkpoint_in(work_dir: str) -> str | None:
    """The last whole checkpoint of a training, whether it counts epochs or steps."""
    with clear_refusals():
        for template in ("iter_{}.pth", "epoch_{}.pth"):
            found, _ = checkpoint_to_resume(Path(work_dir), Path(work_dir), template)
            if found is not None:
                return found
    return None


def said(plan: TrainingPlan | None, follows: bool) -> Iterator[str]:
    """The plan of a training, and what in it does not fit together."""
    if plan is None:
        return
    why = " for this data (--as-configured takes the config's own)" if follows else ""
    yield f"the plan{why}:"
    yield from plan.lines()
    yield from (f"note: {note}" for note in plan.notes())


def heed(findings: Iterable[Finding]) -> None:
    """Say what a user may not have meant, and stop at what will make the training fail."""
    for finding in findings:
        if finding.level == "problem":
            raise SystemExit(f"{finding.about}: {finding.text}")
        if finding.level == "note" and is_first_process():
            print(f"note: {finding.about}: {finding.text}")
