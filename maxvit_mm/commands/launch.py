"""What `tools/train.py` and `tools/test.py` do: MMDetection's options, checks before anything is built.

Building, training and testing are MMEngine's `Runner`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmdet.utils import setup_cache_size_limit_of_dynamo
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from ..data.coco_folder import DataError, inspect
from ..openmmlab.config_checks import (
    check_model,
    check_options,
    notes_on_the_start,
    require_checkpoint,
    require_data,
    trains_masks,
)
from ..openmmlab.hardware import is_first_process, use_amp, use_float32, use_gloo
from ..openmmlab.retarget import dataset_configs, point_config_at
from ..weights import CheckpointError

PACKAGE = Path(__file__).resolve().parents[1]
META_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")  # PackDetInputs' own


def train(argv: Sequence[str] | None = None) -> Runner:
    """`tools/train.py`: train a detector as its config says."""
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
    cfg = read_config(args, to_train=True)
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
    with clear_refusals():
        runner.train()
    if is_first_process():
        print(f"checkpoints, curves.png, log and pictures are in {cfg.work_dir}")
    return runner


def evaluate(argv: Sequence[str] | None = None) -> dict[str, float]:
    """`tools/test.py`: evaluate a detector, and draw what it finds. Returns the metrics."""
    parser = common_parser("Evaluate a trained detector.")
    parser.add_argument("checkpoint", help="a checkpoint of tools/train.py")
    parser.add_argument("--out", metavar="FILE.pkl", help="write all predictions to this file")
    parser.add_argument("--show", action="store_true", help="show each image in a window")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds a window stays (2)")
    parser.add_argument(
        "--show-dir",
        help="draw truth and prediction side by side for each image, into this folder of the work "
        "directory's newest run",
    )
    parser.add_argument(
        "--deploy", action="store_true", help="fold the backbone's BatchNorms first: faster, the same results"
    )
    parser.add_argument("--tta", action="store_true", help="merge the image's and its mirror's results")
    args = parser.parse_args(argv)
    if args.out is not None and not args.out.endswith((".pkl", ".pickle")):
        raise SystemExit(f"--out {args.out}: predictions are written as a .pkl file")
    cfg = read_config(args, to_train=False)
    require_data(cfg, ["test_dataloader"])
    cfg.load_from = args.checkpoint
    require_checkpoint(cfg)
    if args.show or args.show_dir:
        trigger_visualization_hook(cfg, args)
    if args.tta:
        use_tta(cfg)
    if args.deploy:
        # A checkpoint's weights are the averages already; EMAHook would exchange them with folded ones.
        hooks = [hook for hook in cfg.get("custom_hooks") or [] if hook.type != "EMAHook"]
        cfg.custom_hooks = [*hooks, dict(type="DeployHook")]
    runner = build_runner(cfg)
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    with clear_refusals():
        metrics = runner.test()
    if args.show_dir and is_first_process():
        print(f"pictures are in {Path(runner.log_dir) / args.show_dir}")
    return metrics


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


def read_config(args: argparse.Namespace, to_train: bool) -> Config:
    """The config with the command line's changes: `--data` first, so that `--cfg-options` can correct it."""
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    setup_cache_size_limit_of_dynamo()
    path = find_config(args.config)
    cfg = Config.fromfile(path)
    if args.data is not None:
        with clear_refusals():
            folder = inspect(Path(args.data), masks=trains_masks(cfg), train=to_train)
            point_config_at(cfg, folder)
        if is_first_process():
            print(folder.describe())
    if args.cfg_options is not None:
        check_options(cfg, args.cfg_options)
        try:
            cfg.merge_from_dict(args.cfg_options)
        except (KeyError, TypeError) as error:
            raise SystemExit(f"--cfg-options: {error}") from error
    check_model(cfg.model)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or str(Path("work_dirs") / path.stem)
    if args.launcher == "pytorch" and not torch.cuda.is_available():
        use_gloo(cfg)
    return cfg


def find_config(name: str) -> Path:
    """A config by its path, or one of ours by its name, from any working directory."""
    if Path(name).is_file():
        return Path(name)
    if Path(name).parent not in (Path(), Path("configs")):
        raise SystemExit(f"there is no config {name}")
    # An installed package carries its configs as OpenMMLab's packages do; a clone has them beside it.
    folder = next(path for path in (PACKAGE / ".mim/configs", PACKAGE.parent / "configs") if path.is_dir())
    path = (folder / Path(name).name).with_suffix(".py")
    if path.is_file():
        return path
    ours = sorted(path.stem for path in folder.glob("*.py"))
    alike = ", ".join(get_close_matches(Path(name).stem, ours, n=4))
    raise SystemExit(f"there is no config {name}; nearest of ours: {alike or ', '.join(ours)}")


def use_tta(cfg: Config) -> None:
    """Test each image and its mirror image, merged by NMS, unless the config has a way of its own."""
    from ..openmmlab import tta  # noqa: F401  (registers the model; it needs MMDetection's, which take seconds)

    nms = dict(type="nms", iou_threshold=0.5)
    tta_model = cfg.get("tta_model") or dict(type="InstanceTTAModel", tta_cfg=dict(nms=nms, max_per_img=100))
    for dataset in dataset_configs(cfg.test_dataloader):
        dataset["pipeline"] = cfg.get("tta_pipeline") or mirrored(dataset["pipeline"])
    cfg.model = dict(**tta_model, module=cfg.model)


def mirrored(pipeline: Sequence[Any]) -> list[Any]:
    """A test pipeline whose last step packs the image and its mirror image."""
    steps = deepcopy(list(pipeline))
    pack = steps.pop()
    pack["meta_keys"] = (*pack.get("meta_keys", META_KEYS), "flip", "flip_direction")
    # The first view's truth is what the pictures show, so it is the image as it lies.
    flips = [dict(type="RandomFlip", prob=0.0), dict(type="RandomFlip", prob=1.0)]
    return [*steps, dict(type="TestTimeAug", transforms=[flips, [pack]])]


def build_runner(cfg: Config) -> Runner:
    with clear_refusals():
        return Runner.from_cfg(cfg)


@contextmanager
def clear_refusals() -> Iterator[None]:
    """End with a message, instead of a traceback, on what is the user's to mend."""
    try:
        yield
    except (DataError, CheckpointError) as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        raise SystemExit("interrupted; --resume goes on from the last checkpoint") from None
