"""What `tools/test.py` does: evaluate a detector, and draw what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmengine.config import Config

from ..openmmlab.config_checks import require_checkpoint, require_data
from ..openmmlab.hardware import is_first_process
from ..openmmlab.retarget import dataset_configs
from .launch import build_runner, clear_refusals, common_parser, read_config

META_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")  # PackDetInputs' own


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """The command line. Returns the metrics by name, such as 'coco/bbox_mAP'.

    Raises:
        SystemExit: with a sentence on what is the user's to mend, before anything is built if it can be seen.
    """
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
