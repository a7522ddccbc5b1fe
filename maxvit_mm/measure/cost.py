"""What a network costs: parameters, multiply-adds and memory, counted on tensors without values.

A detector on PyTorch's meta device, where tensors have shapes and no values, takes seconds and no memory, of
any size. One whose shapes depend on values (DINO, Mask2Former) is counted where it is, on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..network.twins import plain
from .live_bytes import LiveBytes

aten = torch.ops.aten
# Layers that are neither convolutions nor matrix products: a multiply-add for each element.
ELEMENTWISE = (
    *(aten.native_batch_norm, aten._native_batch_norm_legit, aten._native_batch_norm_legit_no_training),
    *(aten.native_layer_norm, aten.native_group_norm, aten._softmax, aten._safe_softmax),
    *(aten.gelu, aten.relu, aten.relu_, aten.silu, aten.sigmoid, aten.tanh, aten.add, aten.mul),
    aten.avg_pool2d,
)
STATES = {"AdamW": 2, "Adam": 2, "SGD": 1}  # numbers that an optimizer keeps for each parameter


class Part(NamedTuple):
    """A part of a network: its name, its parameters, and its multiply-adds for one image."""

    name: str
    parameters: int
    multiply_adds: int


def one_each(*shapes: Any, out_shape: Any, **others: Any) -> int:
    """FLOPs of an element-wise layer: a multiplication and an addition for each element."""
    shape = out_shape if isinstance(out_shape, torch.Size) else out_shape[0]  # a norm gives statistics too
    return 2 * math.prod(shape)


def multiply_adds(run: Callable[[], Any], *networks: nn.Module) -> tuple[int, Any]:
    """Multiply-adds, attention's included, of `run`, which runs `networks`, and what it returns.

    Networks run as they are written. Convolutions and matrix products, as PyTorch's counter has them, and
    one for each element of norms, activations, softmaxes and sums: about a hundredth of the whole.
    """
    counter = FlopCounterMode(display=False, custom_mapping=dict.fromkeys(ELEMENTWISE, one_each))
    with torch.no_grad(), plain(*networks), counter:
        result = run()
    return counter.get_total_flops() // 2, result


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for p in {id(p): p for m in modules for p in m.parameters()}.values())


def count_parts(detector: nn.Module, height: int, width: int) -> list[Part]:
    """Backbone, neck and heads at inference of one image of `height x width`, proposals and masks included.

    A two-stage detector is counted with as many boxes as its test configuration keeps proposals (1000), and
    as many masks as it keeps detections (100).
    """
    detector.eval()
    backbone: Any = detector.backbone
    image = an_image(detector, height, width)
    spent, maps = multiply_adds(lambda: backbone(image), backbone)
    parts = [Part("backbone", parameters(backbone), spent)]
    neck: Any = getattr(detector, "neck", None)
    if neck is not None:
        spent, maps = multiply_adds(lambda: neck(maps))
        parts.append(Part("neck", parameters(neck), spent))
    spent, _ = multiply_adds(lambda: run_heads(detector, maps, height, width))
    rest = parameters(detector) - sum(part.parameters for part in parts)
    return [*parts, Part("heads", rest, spent)]


def count_classifier(classifier: nn.Module, height: int, width: int) -> list[Part]:
    """Trunk and head of an ImageNet classifier, for one image of `height x width`."""
    classifier.eval()
    trunk: Any = classifier.trunk
    head: Any = classifier.head
    image = an_image(classifier, height, width)
    spent, maps = multiply_adds(lambda: trunk(image), trunk)
    spent_by_head, _ = multiply_adds(lambda: head(maps[-1]))
    return [Part("backbone", parameters(trunk), spent), Part("head", parameters(head), spent_by_head)]


def inference_bytes(detector: nn.Module, height: int, width: int) -> int:
    """Peak of parameters and live tensors for one image, in float32, without the pasting of masks."""
    detector.eval()
    with torch.no_grad():
        return held(detector) + peak_of(detector, height, width, lambda outputs: None)


def training_bytes(
    detector: nn.Module, height: int, width: int, optimizer: str, averages: bool = False
) -> int:
    """Peak of a training step of one image in float32: parameters, their gradients, the optimizer's state, an
    average of the parameters if there is one, and activations; without losses and the drawing of samples.
    """
    detector.train()
    for head in pixel_heads(detector):  # which pool a map to one pixel: of one image there is no variance
        for norm in (module for module in head.modules() if isinstance(module, _BatchNorm)):
            norm.eval()
    state = STATES[optimizer] * 4 * sum(p.numel() for p in detector.parameters() if p.requires_grad)
    for parameter in detector.parameters():
        parameter.grad = None
    copies = 2 if averages else 1
    peak = peak_of(detector, height, width, backward)
    return copies * held(detector) + state + peak


def backward(outputs: list[Tensor]) -> None:
    torch.autograd.backward(outputs, [torch.empty_like(output) for output in outputs])


def an_image(detector: nn.Module, height: int, width: int) -> Tensor:
    like = next(detector.parameters())
    return torch.zeros(1, 3, height, width, device=like.device, dtype=like.dtype)


def has_fixed_shapes(model_cfg: dict) -> bool:
    """Whether a detector can be counted on the meta device: no shape in it depends on a value."""
    return "encoder" not in model_cfg and "panoptic_head" not in model_cfg


def held(module: nn.Module) -> int:
    """Bytes of the parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))


def peak_of(detector: nn.Module, height: int, width: int, then: Callable[[list[Tensor]], None]) -> int:
    network: Any = detector
    with LiveBytes() as live:
        maps = network.backbone(an_image(detector, height, width))
        if getattr(network, "neck", None) is not None:
            maps = network.neck(maps)
        outputs = run_heads(network, maps, height, width)
        # What no head reads (a map of the neck, in DINO) has no gradient.
        then([o for o in tree_leaves(outputs) if isinstance(o, Tensor) and o.requires_grad])
    return live.peak


def run_heads(detector: Any, maps: tuple[Tensor, ...], height: int, width: int) -> list[Any]:
    """All that a detector's heads give for one image's maps, boxes and masks in their full number."""
    if not has_fixed_shapes(vars(detector)["_modules"]):
        return run_transformer(detector, maps, height, width)
    outputs: list[Any] = []
    for name in ("rpn_head", "bbox_head", "mask_head", "semantic_head", "head"):
        head = getattr(detector, name, None)
        if isinstance(head, nn.Module):
            outputs.append(head(maps))
    for head in pixel_heads(detector):
        outputs.append(F.interpolate(head(maps), (height, width), mode="bilinear"))
    roi_head = getattr(detector, "roi_head", None)
    if roi_head is not None:
        boxes, masks = regions(detector)
        for head, extractor in each(roi_head, "bbox_head", "bbox_roi_extractor"):
            outputs.append(head(crops(extractor, boxes, maps[0])))
        for head, extractor in each(roi_head, "mask_head", "mask_roi_extractor"):
            outputs.append(head(crops(extractor, masks, maps[0])))
    if not outputs:
        raise ValueError(f"{type(detector).__name__} has no head that can be counted")
    return outputs


def pixel_heads(network: Any) -> list[nn.Module]:
    """The heads of a segmenter, whose logits grow as large as the image; auxiliary ones only in training."""
    heads = [getattr(network, "decode_head", None)]
    if network.training:
        aside = getattr(network, "auxiliary_head", None)
        heads += aside if isinstance(aside, nn.ModuleList) else [aside]
    return [head for head in heads if isinstance(head, nn.Module)]


def regions(detector: Any) -> tuple[int, int]:
    """How many boxes and masks an image brings to a two-stage detector's second stage."""
    if not detector.training:
        return detector.test_cfg.rpn.max_per_img, detector.test_cfg.rcnn.max_per_img
    rcnn = detector.train_cfg.rcnn
    sampler = (rcnn[0] if isinstance(rcnn, list) else rcnn).sampler
    return sampler.num, int(sampler.num * sampler.pos_fraction)


def each(roi_head: Any, head: str, extractor: str) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The heads of all stages, with what cuts out features for them."""
    if getattr(roi_head, head, None) is None:
        return
    pair = [getattr(roi_head, head), getattr(roi_head, extractor)]
    stages = [part if isinstance(part, nn.ModuleList) else [part] for part in pair]
    yield from zip(*stages, strict=True)


def crops(extractor: Any, count: int, maps: Tensor) -> Tensor:
    """What RoIAlign would cut out; it multiplies next to nothing."""
    size = extractor.roi_layers[0].output_size
    return maps.new_empty(count, extractor.out_channels, *size, requires_grad=torch.is_grad_enabled())


def run_transformer(detector: Any, maps: tuple[Tensor, ...], height: int, width: int) -> list[Any]:
    """DINO's transformer and head, or Mask2Former's, for an image with ten objects."""
    from mmdet.structures import DetDataSample  # here, as a backbone is counted without MMDetection

    shape = (height, width)
    boxes = torch.tensor([0.25, 0.25, 0.75, 0.75]) * torch.tensor([width, height, width, height])
    objects = InstanceData(bboxes=boxes.repeat(10, 1), labels=torch.zeros(10, dtype=torch.long))
    sample = DetDataSample(metainfo=dict(img_shape=shape, batch_input_shape=shape, ori_shape=shape))
    sample.gt_instances = objects
    if hasattr(detector, "panoptic_head"):
        return [detector.panoptic_head(maps, [sample])]
    found = detector.forward_transformer(maps, [sample])
    states, references = found.pop("hidden_states"), found.pop("references")
    return [found, detector.bbox_head(states, references)]
