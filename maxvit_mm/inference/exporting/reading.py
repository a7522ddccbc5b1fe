"""An ONNX file of ours in a checkpoint's place: what it knows, and a detector that ONNX Runtime runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmengine.structures import InstanceData
from torch import Tensor

from ...network.trunk import SMALLEST_IMAGE
from ...openmmlab.differing import plain, told
from ...openmmlab.own_config import config_of_checkpoint
from ...weights import CheckpointError
from ..libraries import need

ABOUT = "maxvit_mm"  # the key of the file's metadata under which ours are
SUFFIX = ".onnx"
DETECTOR, MAPS = "detector", "maps"  # what a file holds


def is_onnx(file: str | Path) -> bool:
    return Path(file).suffix.lower() == SUFFIX


@CheckpointLoader.register_scheme(prefixes=r"(?i).*\.onnx$", force=True)
def load_onnx(filename: str, map_location: Any = None) -> dict[str, Any]:
    """What a file of `tools/export.py` knows, in the form of a checkpoint without weights.

    Raises:
        CheckpointError: where there is no such file, or it is another program's.
    """
    about = about_of(filename, session_of(filename))
    return {"meta": about["meta"], "state_dict": {}, "onnx": about["holds"]}


def session_of(filename: str) -> Any:
    """ONNX Runtime's session of a file.

    Raises:
        CheckpointError: where there is no file, or it is no ONNX file.
    """
    if not Path(filename).is_file():
        raise CheckpointError(f"there is no file {filename}")
    try:
        need("onnxruntime", doing="ONNX files")
    except ImportError as error:
        raise CheckpointError(f"{filename}: {error}") from error
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; its warnings are of how it runs, not of the results
    try:
        return onnxruntime.InferenceSession(filename, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises kinds of its own, by the dozen
        said = str(error).splitlines()[0]
        raise CheckpointError(f"{filename} is damaged or no ONNX file ({said}): export it again") from error


def about_of(filename: str, session: Any) -> dict[str, Any]:
    """What an ONNX file knows about itself.

    Raises:
        CheckpointError: where `tools/export.py` did not write it.
    """
    try:
        about = json.loads(session.get_modelmeta().custom_metadata_map[ABOUT])
        if isinstance(about["meta"], dict) and about["holds"] in (DETECTOR, MAPS):
            return about
    except (KeyError, TypeError, ValueError):
        pass
    raise CheckpointError(
        f"{filename} is an ONNX file of another model, not one that tools/export.py wrote: it does not say "
        "which detector it holds"
    )


def onnx_model(filename: str, detector: Any) -> dict[str, Any]:
    """The config of a model that runs an ONNX file in the place of a detector."""
    return dict(type="OnnxDetector", file=str(filename), detector=detector)


def cpu_for(device: str | None, amp: bool) -> torch.device:
    """The device of an ONNX file's results.

    Raises:
        ValueError: where another device or another precision is asked for.
    """
    if device not in (None, "cpu"):
        raise ValueError(f"ONNX files run on the CPU here, not on {device}: leave the device out")
    if amp:
        raise ValueError("an ONNX file has the precision that it was exported with: leave out amp")
    return torch.device("cpu")


def build_onnx(cfg: Config, file: str, tta: bool) -> BaseModel:
    """The detector of an ONNX file, which `cfg` must describe; with `tta` as `build_detector` does."""
    init_default_scope(cfg.get("default_scope", "mmdet"))
    model = MODELS.build(onnx_model(file, cfg.model))
    if not tta:
        return model.eval()
    from ...openmmlab.tta import tta_model_of  # MMDetection's models, which take seconds

    return MODELS.build(dict(**tta_model_of(cfg), module=model)).eval()


class AsTheyAre(BaseDataPreprocessor):
    """Leaves images as the pipeline made them: the graph normalises and pads."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        return data


@MODELS.register_module()
class OnnxDetector(BaseModel):
    """A detector that ONNX Runtime runs on the CPU. Its results are those of MMDetection's `test_step`.

    Args:
        file: of `tools/export.py`.
        detector: the config of the detector that it is to be.

    Raises:
        CheckpointError: where the file holds another detector, or none.
    """

    def __init__(self, file: str, detector: dict[str, Any]):
        super().__init__(data_preprocessor=AsTheyAre())
        self.session = session_of(file)
        about = about_of(file, self.session)
        if about["holds"] != DETECTOR:
            raise CheckpointError(f"{file} holds a backbone alone: export the detector, without --backbone")
        own = config_of_checkpoint(file, {"meta": about["meta"]}).model
        if others := list(told("model", plain(detector), plain(own))):
            said = "\n  ".join(others)
            raise CheckpointError(
                f"{file} holds a detector whose settings are fixed: export it again with these\n  {said}"
            )
        self.threshold = ((own.get("test_cfg") or {}).get("rcnn") or {}).get("mask_thr_binary", 0.5)

    def forward(
        self, inputs: Sequence[Tensor], data_samples: Sequence[DetDataSample], mode: str = "predict"
    ) -> Sequence[DetDataSample]:
        """inputs: uint8 images [3, height, width], as the pipeline has made them.

        Raises:
            ValueError: for images of other values, or smaller than the network takes.
        """
        for image in inputs:
            if image.dtype is not torch.uint8:
                raise ValueError(f"an ONNX file takes images of bytes, and this is of {image.dtype}")
            if min(image.shape[1:]) < SMALLEST_IMAGE:
                height, width = image.shape[1:]
                raise ValueError(
                    f"an image has {width}x{height} pixels, it takes {SMALLEST_IMAGE} a side or more"
                )
        sizes = np.array([image.shape[1:] for image in inputs])
        images = np.zeros((len(inputs), 3, *sizes.max(0)), np.uint8)
        for room, image in zip(images, inputs, strict=True):
            room[:, : image.shape[1], : image.shape[2]] = image.cpu().numpy()
        found = self.session.run(None, {"images": images, "sizes": sizes})
        boxes, scores, labels, image, *masks = map(torch.from_numpy, found)
        for number, sample in enumerate(data_samples):
            own = image == number
            results = InstanceData(bboxes=boxes[own], scores=scores[own], labels=labels[own])
            results.bboxes /= results.bboxes.new_tensor(sample.scale_factor).repeat(1, 2)
            if masks:
                results.masks = pasted(masks[0][own], results.bboxes, sample.ori_shape[:2], self.threshold)
            sample.pred_instances = results
        return data_samples


def pasted(masks: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float) -> Tensor:
    """Masks [n, h, w] of boxes [n, 4], in their places in an image: [n, height, width] of bool."""
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    whole = torch.zeros(len(masks), *size, dtype=torch.bool)
    for room, mask, box in zip(whole, masks, boxes, strict=True):
        part, place = _do_paste_mask(mask[None, None], box[None], *size, skip_empty=True)
        room[place] = part[0] >= threshold
    return whole
