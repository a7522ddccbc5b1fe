"""Models that ONNX Runtime runs on the CPU, one a kind, with the results of their library's `test_step`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from ...network.trunk import SMALLEST_IMAGE
from ...openmmlab.differing import plain, told
from ...openmmlab.own_config import config_of_checkpoint
from ...openmmlab.tasks import enter_scope, task_of
from ...weights import CheckpointError
from .reading import MAPS, about_of, session_of


class AsTheyAre(BaseDataPreprocessor):
    """Leaves images as the pipeline made them: the graph normalises and pads."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        return data


class OnnxModel(BaseModel):
    """A file of `tools/export.py` in the place of a model.

    Args:
        file: the file.
        model: the config of the model that it is to be.
        data_preprocessor: MMEngine's runner hands the config's over; the graph has its own.

    Attributes:
        holds: what the file must hold, by the name that its task has for it.

    Raises:
        CheckpointError: where the file holds another model, or none.
    """

    holds: ClassVar[str]

    def __init__(self, file: str, model: dict[str, Any], data_preprocessor: Any = None):
        super().__init__(data_preprocessor=AsTheyAre())
        self.session = session_of(file)
        about = about_of(file, self.session)
        if about["holds"] == MAPS:
            raise CheckpointError(
                f"{file} holds a backbone alone: export the {self.holds}, without --backbone"
            )
        if about["holds"] != self.holds:
            raise CheckpointError(f"{file} holds a {about['holds']}, and the config is for a {self.holds}")
        self.own = config_of_checkpoint(file, {"meta": about["meta"]}).model
        if others := list(told("model", plain(model), plain(self.own))):
            said = "\n  ".join(others)
            raise CheckpointError(
                f"{file} holds a {self.holds} whose settings are fixed: export it again with these\n  {said}"
            )

    def forward(self, inputs: Sequence[Tensor], data_samples: Sequence[Any], mode: str = "predict") -> Any:
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
        return self.results(list(inputs), data_samples)

    @abstractmethod
    def results(self, images: Sequence[Tensor], samples: Sequence[Any]) -> Sequence[Any]:
        """The samples with what the file says of the images."""


def outputs_of(session: Any, images: Sequence[Tensor], names: Sequence[str] | None = None) -> list[Tensor]:
    """Some outputs of a graph, or all, for images [3, height, width] of any sizes; no others are computed."""
    import onnxruntime

    sizes = np.array([image.shape[1:] for image in images])
    batch = np.zeros((len(images), 3, *sizes.max(0)), np.uint8)
    for room, image in zip(batch, images, strict=True):
        room[:, : image.shape[1], : image.shape[2]] = image.cpu().numpy()
    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return [torch.from_numpy(each) for each in session.run(names, {"images": batch, "sizes": sizes}, options)]


@MODELS.register_module()
class OnnxDetector(OnnxModel):
    """Of MMDetection: boxes, scores, labels and masks."""

    holds = "detector"

    def results(self, images: Sequence[Tensor], samples: Sequence[Any]) -> Sequence[Any]:
        boxes, scores, labels, image, *masks = outputs_of(self.session, images)
        threshold = ((self.own.get("test_cfg") or {}).get("rcnn") or {}).get("mask_thr_binary", 0.5)
        for number, sample in enumerate(samples):
            own = image == number
            results = InstanceData(bboxes=boxes[own], scores=scores[own], labels=labels[own])
            results.bboxes /= results.bboxes.new_tensor(sample.scale_factor).repeat(1, 2)
            if masks:
                results.masks = pasted(masks[0][own], results.bboxes, sample.ori_shape[:2], threshold)
            sample.pred_instances = results
        return samples


def pasted(masks: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float) -> Tensor:
    """Masks [n, h, w] of boxes [n, 4], in their places in an image: [n, height, width] of bool."""
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    whole = torch.zeros(len(masks), *size, dtype=torch.bool)
    for room, mask, box in zip(whole, masks, boxes, strict=True):
        part, place = _do_paste_mask(mask[None, None], box[None], *size, skip_empty=True)
        room[place] = part[0] >= threshold
    return whole


@MODELS.register_module()
class OnnxSegmenter(OnnxModel):
    """Of MMSegmentation: the class of each pixel, and its logits."""

    holds = "segmenter"

    def results(self, images: Sequence[Tensor], samples: Sequence[Any]) -> Sequence[Any]:
        from mmseg.models import BaseSegmentor  # one of the extras, which takes seconds

        (logits,) = outputs_of(self.session, images, ["logits"])
        # What its function asks of a model, which has a threshold only where one output is for two classes.
        asked: Any = SimpleNamespace(align_corners=self.own.decode_head.get("align_corners", False))
        for image, own, sample in zip(images, logits, samples, strict=True):
            _, height, width = image.shape
            BaseSegmentor.postprocess_result(asked, own[None, :, :height, :width], [sample])
        return samples


@MODELS.register_module()
class OnnxClassifier(OnnxModel):
    """Of MMPretrain: the probability of each class."""

    holds = "classifier"

    def results(self, images: Sequence[Tensor], samples: Sequence[Any]) -> Sequence[Any]:
        (scores,) = outputs_of(self.session, images)
        for own, sample in zip(scores, samples, strict=True):
            sample.set_pred_score(own).set_pred_label(own.argmax(0, keepdim=True))
        return samples


KINDS = {kind.holds: kind.__name__ for kind in (OnnxDetector, OnnxSegmenter, OnnxClassifier)}


def onnx_model(filename: str, cfg: Config) -> dict[str, Any]:
    """The config of a model that runs an ONNX file in the place of the config's own."""
    return dict(type=KINDS[task_of(cfg).trained], file=str(filename), model=cfg.model)


def build_onnx(cfg: Config, file: str, tta: bool) -> BaseModel:
    """The model of an ONNX file, which `cfg` must describe; with `tta` as `build_detector` does."""
    enter_scope(cfg)
    model = MODELS.build(onnx_model(file, cfg))
    if tta:
        model = MODELS.build(dict(**task_of(cfg).tta_model(cfg), module=model))
    return model.eval()
