"""Short runs of the commands as a user starts them, on a few images of the embedded data set."""

import json
import socket

import pytest
from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer

PICO = "mask_rcnn_maxvit_pico_shapes"
QUICK = ["train_dataloader.batch_size=2", "train_dataloader.num_workers=0", "val_dataloader.num_workers=0"]
QUICK += ["train_dataloader.persistent_workers=False", "val_dataloader.persistent_workers=False"]
QUICK += ["test_dataloader.num_workers=0", "test_dataloader.persistent_workers=False"]
# For runs of several steps, of which no picture is looked at.
HALF = ["train_dataloader.dataset.pipeline.2.scale_factor=0.5"]
HALF += ["val_dataloader.dataset.pipeline.1.scale_factor=0.5"]
TWO_STEPS = [*QUICK, "train_cfg.max_iters=2", "train_cfg.val_interval=2"]
TWO_STEPS += ["default_hooks.checkpoint.interval=1", "default_hooks.logger.interval=1"]
TWO_STEPS += ["default_hooks.visualization.interval=1"]


def pretrained(path) -> list[str]:
    """Options that start the backbone from a file."""
    return ["model.backbone.init_cfg.type=Pretrained", f"model.backbone.init_cfg.checkpoint={path}"]


def refusal(command, *arguments) -> str:
    """What a command says when it stops."""
    with pytest.raises(SystemExit) as caught:
        command([str(argument) for argument in arguments])
    return str(caught.value)


def forget_runs() -> None:
    """Drop MMEngine's process-wide instances of another run."""
    kinds = [MMLogger, Visualizer]
    for kind in kinds:
        kind._instance_dict.clear()
        kinds += kind.__subclasses__()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def finder_after(work_dir, limits):
    """What a page shows of the training of two steps, after which a detector would find a hundred objects."""
    from maxvit_mm.inference.detector import Detector
    from maxvit_mm.inference.page.pages import finder_of

    detector = Detector(work_dir / "iter_2.pth", device="cpu", score_thr=0.0)
    detector.model.roi_head.test_cfg.max_per_img = 6
    return finder_of(detector, limits)


def onnx_file(path, **about) -> None:
    """An ONNX file that computes nothing of use, and says these things about itself."""
    from onnx import TensorProto, helper, save

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if about:
        helper.set_model_props(model, {"maxvit_mm": json.dumps(about)})
    save(model, path)
