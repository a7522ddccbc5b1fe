"""What `tools/test.py` does: evaluate a trained model, and draw what it finds."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from ..inference.exporting.reading import is_onnx
from ..inference.exporting.running import onnx_model
from ..openmmlab.class_names import difference
from ..openmmlab.config_checks import require_checkpoint, require_data
from ..openmmlab.differing import differences
from ..openmmlab.hardware import is_first_process
from ..openmmlab.loaders import dataset_configs
from ..openmmlab.runner import EvaluationRunner
from ..openmmlab.tasks import Task, task_of
from .launch import build_runner, read_config, trained_with
from .options import common_parser
from .refusals import clear_refusals, said_once
from .trained import note_differences


@said_once
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """The command line. Returns the metrics by name, such as 'coco/bbox_mAP'.

    Raises:
        SystemExit: with a sentence on what is the user's to mend, before anything is built if it can be seen.
    """
    parser = common_parser("Evaluate a trained detector, segmenter or classifier.")
    parser.add_argument("checkpoint", help="a checkpoint of tools/train.py, or an .onnx of tools/export.py")
    parser.add_argument("--out", metavar="FILE.pkl", help="write all predictions to this file")
    parser.add_argument("--show", action="store_true", help="show each image in a window")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds a window stays (2)")
    parser.add_argument(
        "--show-dir",
        metavar="DIR",
        help="draw truth and prediction side by side for each image, into this folder",
    )
    parser.add_argument(
        "--deploy", action="store_true", help="fold the backbone's BatchNorms first: faster, the same results"
    )
    parser.add_argument("--tta", action="store_true", help="merge the image's and its mirror's results")
    parser.add_argument(
        "--split",
        choices=["val", "test"],
        default="val",
        help="of --data: which split to evaluate (val)",
    )
    parser.add_argument(
        "--classes-by-name",
        action="store_true",
        help="where the data lists the checkpoint's classes in another order, take the checkpoint's order",
    )
    args = parser.parse_args(argv)
    if args.out is not None and not args.out.endswith((".pkl", ".pickle")):
        raise SystemExit(f"--out {args.out}: predictions are written as a .pkl file")
    trained = trained_with(args.checkpoint)
    cfg = read_config(args, [args.split], args.checkpoint, trained.classes)
    task = task_of(cfg)
    if args.work_dir is None:
        cfg.work_dir = str(place_of_test(args.checkpoint, cfg.work_dir))
    require_data(cfg, ["test_dataloader"])
    cfg.load_from = args.checkpoint
    require_checkpoint(cfg)
    if args.config is not None and trained.cfg is not None:
        note_differences(differences(cfg, trained.cfg), "test")
    if args.classes_by_name:
        take_classes(args.checkpoint, trained.classes, cfg)
    note_the_other_split(args, task)
    if args.show or args.show_dir:
        folder = str(Path(args.show_dir).absolute()) if args.show_dir else None  # else below the log
        task.draw_test(cfg, args.show, folder, args.wait_time)
    exported = is_onnx(args.checkpoint)  # and deployed before it was written
    if exported:
        cfg.model = onnx_model(args.checkpoint, cfg)
    if args.tta:
        use_tta(cfg, task)
    if args.deploy or exported:
        # A checkpoint's weights are the averages already; EMAHook would exchange them with folded ones.
        hooks = [hook for hook in cfg.get("custom_hooks") or [] if hook.type != "EMAHook"]
        cfg.custom_hooks = hooks if exported else [*hooks, dict(type="DeployHook")]
    runner = build_runner(cfg, EvaluationRunner)
    if args.out is not None:
        runner.test_evaluator.metrics.append(task.record(args.out))
    with clear_refusals():
        metrics = runner.test()
    if args.show_dir and is_first_process():
        print(f"pictures are in {args.show_dir}")
    return metrics


def place_of_test(checkpoint: str, otherwise: str) -> Path:
    """Where a test writes: into a folder beside the checkpoint, where one may."""
    folder = Path(checkpoint).parent
    return folder / "test" if folder.is_dir() and os.access(folder, os.W_OK) else Path(otherwise) / "test"


def take_classes(source: str, classes: Sequence[str] | None, cfg: Config) -> None:
    """Give the test's datasets the checkpoint's classes, in its order; CocoByName then looks the ids up."""
    if classes is None:
        raise SystemExit(f"--classes-by-name: {source} does not say which classes it was trained on")
    for dataset in dataset_configs(cfg.test_dataloader):
        about = dataset.get("metainfo") or {}
        own = list(about.get("classes") or classes)
        if set(own) != set(classes):
            raise SystemExit(f"--classes-by-name: {source}: {difference(classes, own)}")
        palette = dict(zip(own, about.get("palette") or (), strict=False))
        dataset["metainfo"] = {"classes": tuple(classes)}
        if len(palette) == len(own):
            dataset["metainfo"]["palette"] = [palette[name] for name in classes]


def note_the_other_split(args: argparse.Namespace, task: Task) -> None:
    """Say that a folder has a test split as well, where its validation split is evaluated."""
    other = task.find_split(Path(args.data), "test") if args.data and args.split == "val" else None
    if other is not None and is_first_process():
        print(
            f"note: the val split is evaluated. The test split ({other}) is left out: --split test takes it"
        )


def use_tta(cfg: Config, task: Task) -> None:
    """Test each image and its mirror image, merged, unless the config has a way of its own."""
    for dataset in dataset_configs(cfg.test_dataloader):
        dataset["pipeline"] = task.tta_pipeline(cfg, dataset["pipeline"])
    cfg.model = dict(**task.tta_model(cfg), module=cfg.model)
