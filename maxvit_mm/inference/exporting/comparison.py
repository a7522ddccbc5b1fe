"""An ONNX file held against the detector that it was exported from: what both find, matched one to one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ...data.scenes import lay_out, paint

SEED = 0
ODD = (97, 139)  # height and width of an image of which no stage divides evenly
GREY = 114
ROUNDS = 5  # timed runs of each, in turn
SAME = 0.5  # the overlap from which two boxes can be the same find


class Tolerance(NamedTuple):
    """How far both may differ: boxes in pixels of the image, scores, and the part of a mask's pixels."""

    boxes: float
    scores: float
    masks: float


EXACT = Tolerance(boxes=0.1, scores=1e-3, masks=0.01)
HALF = Tolerance(boxes=4.0, scores=0.05, masks=0.1)
# Of the finds: where two proposals are nearly as good, a rounding keeps the other one.
RARE = {EXACT: 1 / 200, HALF: 1 / 20}


class Case(NamedTuple):
    """Images that go through the detector together, [height, width, 3] in BGR each."""

    name: str
    images: Sequence[np.ndarray]


class Row(NamedTuple):
    """One case compared.

    Attributes:
        matched: finds that both have.
        off: those of them that differ by more than the tolerance.
        ties: finds that only one of both has, where a rounding decides.
        alone: all others that only one of both has.
        boxes, scores, masks: the largest differences of what is matched.
    """

    name: str
    size: str
    matched: int
    off: int
    ties: int
    alone: int
    boxes: float
    scores: float
    masks: float


def others_in(rows: Sequence[Row]) -> tuple[int, int]:
    """How many finds are others by ONNX Runtime than by PyTorch, and of how many."""
    return sum(row.off + row.alone for row in rows), sum(row.matched + row.alone for row in rows)


def is_same(rows: Sequence[Row], rare: float = RARE[EXACT]) -> bool:
    """Whether both find the same, but for what a rounding in the first stage may change, which is rare."""
    others, finds = others_in(rows)
    return others <= rare * finds


def cases_of(given: Sequence[np.ndarray]) -> Iterator[Case]:
    """Several sizes, odd ones among them, two images together, one without objects, and those given."""
    rng = np.random.default_rng(SEED)
    first, second = (paint(lay_out(rng), rng) for _ in range(2))
    yield Case("a scene", [first])
    yield Case("an odd size", [second[: ODD[0], : ODD[1]]])
    yield Case("two together", [first[: ODD[1]], second])
    yield Case("no object", [np.full_like(first[:, : ODD[1]], GREY)])
    for number, image in enumerate(given, 1):
        yield Case(f"image {number}", [image])


def compare(ours: BaseModel, onnx: BaseModel, case: Case, pipeline: Any, tolerance: Tolerance) -> Row:
    """Both detectors on the images of a case, as `pipeline` prepares them."""
    expected, found = (look(model, case, pipeline) for model in (ours, onnx))
    total = Row(case.name, "", 0, 0, 0, 0, 0.0, 0.0, 0.0)
    for one, other in zip(expected, found, strict=True):
        row = matched(one.pred_instances, other.pred_instances, tolerance, borders_of(ours))
        total = joined(total, row)
    return total._replace(size=size_of(case))


def of_one_size(cases: Iterable[Case]) -> list[Case]:
    """Cases whose images go together as one tensor."""
    single = [case for case in cases if len(case.images) == 1]
    return [*single, Case("two together", [single[1].images[0], single[1].images[0][::-1]])]


def size_of(case: Case) -> str:
    return " + ".join(f"{width}x{height}" for height, width, _ in (image.shape for image in case.images))


def prepared(case: Case, pipeline: Any) -> list[dict[str, Any]]:
    return [pipeline(dict(img=np.ascontiguousarray(image), img_id=0)) for image in case.images]


@torch.inference_mode()
def look(model: BaseModel, case: Case, pipeline: Any) -> Sequence[Any]:
    return model.test_step(pseudo_collate(prepared(case, pipeline)))


def joined(one: Row, other: Row) -> Row:
    counts = (a + b for a, b in zip(one[2:6], other[2:6], strict=True))
    worst = (max(a, b) for a, b in zip(one[6:], other[6:], strict=True))
    return Row(one.name, one.size, *counts, *worst)


class Borders(NamedTuple):
    """Where a rounding decides what is found: the lowest score, the most finds, the overlap of an NMS."""

    score: float
    most: int
    overlap: float


def borders_of(model: Any) -> Borders:
    cfg = model.roi_head.test_cfg if getattr(model, "roi_head", None) else model.test_cfg
    return Borders(cfg.get("score_thr", 0.0), cfg.max_per_img, cfg.nms.iou_threshold)


def matched(one: InstanceData, other: InstanceData, tolerance: Tolerance, borders: Borders) -> Row:
    """Finds of one image matched one to one: of one class, by overlap."""
    grow = one.bboxes.new_tensor([-0.5, -0.5, 0.5, 0.5])  # a box without an area is itself all the same
    overlap = bbox_overlaps(one.bboxes + grow, other.bboxes + grow) * (one.labels[:, None] == other.labels)
    rows, columns = linear_sum_assignment(-overlap.numpy())
    same = overlap.numpy()[rows, columns] >= SAME
    rows, columns = rows[same], columns[same]
    lonely = [
        is_borderline(finds, which, tolerance, borders)
        for finds, taken in ((one, rows), (other, columns))
        for which in sorted(set(range(len(finds))) - set(taken.tolist()))
    ]
    differences = between(one[torch.from_numpy(rows)], other[torch.from_numpy(columns)])
    off = ~(differences <= differences.new_tensor(tolerance)).all(1)  # so is what is no number
    worst = differences.amax(0).tolist() if len(rows) else [0.0] * len(tolerance)
    return Row("", "", len(rows), int(off.sum()), sum(lonely), len(lonely) - sum(lonely), *worst)


def between(one: InstanceData, other: InstanceData) -> Tensor:
    """How far finds are apart, in the order of `Tolerance`: [n, 3]."""
    boxes = (one.bboxes - other.bboxes).abs().amax(1)
    scores = (one.scores - other.scores).abs()
    with_masks = "masks" in one and "masks" in other
    masks = share_of_masks(one.masks, other.masks) if with_masks else torch.zeros_like(scores)
    return torch.stack([boxes, scores, masks], 1)


def is_borderline(finds: InstanceData, which: int, tolerance: Tolerance, borders: Borders) -> bool:
    """Whether a find is there or not by a rounding: its score or an overlap is at a border of the test."""
    score = float(finds.scores[which])
    lowest = [borders.score, *([float(finds.scores.min())] if len(finds) == borders.most else [])]
    if any(abs(score - each) <= tolerance.scores for each in lowest):
        return True
    box, others = finds.bboxes[which, None], finds.bboxes[finds.labels == finds.labels[which]]
    # Boxes that differ by the tolerance change an overlap by about this much.
    side = float((box[0, 2:] - box[0, :2]).min().clamp(min=1))
    overlap = bbox_overlaps(box, others)
    return bool(((overlap - borders.overlap).abs() <= 4 * tolerance.boxes / side).any())


def share_of_masks(one: Tensor, other: Tensor) -> Tensor:
    """The part of each mask's pixels that only one of both has: [n]."""
    return (one ^ other).sum((1, 2)) / (one | other).sum((1, 2)).clamp(min=1)


def largest(difference: Tensor) -> float:
    return float(difference.abs().max()) if difference.numel() else 0.0


def compare_maps(ours: Any, session: Any, case: Case) -> float:
    """The largest difference of maps, in deviations of each map; of images of one size."""
    images = torch.stack([torch.from_numpy(np.ascontiguousarray(image)) for image in case.images])
    images, sizes = images.permute(0, 3, 1, 2), torch.tensor([image.shape[:2] for image in case.images])
    with torch.inference_mode():
        expected = ours(images, sizes)
    found = session.run(None, {"images": images.numpy(), "sizes": sizes.numpy()})
    pairs = zip(expected, map(torch.from_numpy, found), strict=True)
    # NumPy's maximum is not a number where one of them is none.
    return float(np.max([largest(one - other) / float(one.std().clamp(min=1e-6)) for one, other in pairs]))


def speeds(ours: BaseModel, onnx: BaseModel, case: Case, pipeline: Any) -> tuple[float, float]:
    """Images a second of both, on the images of a case, in turn, after a first run that is not counted."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for counted in range(ROUNDS + 1):
        for taken, model in zip(seconds, (ours, onnx), strict=True):
            start = time.perf_counter()
            look(model, case, pipeline)
            if counted:
                taken.append(time.perf_counter() - start)
    first, second = (len(case.images) / median(taken) for taken in seconds)
    return first, second


def speeds_of(ours: BaseModel, onnx: BaseModel, case: Case, pipeline: Any) -> str:
    """The same in words."""
    first, second = speeds(ours, onnx, case, pipeline)
    return (
        f"{first:.2f} images a second by PyTorch, {second:.2f} by ONNX Runtime: {case.name}, with "
        f"{torch.get_num_threads()} threads of this CPU"
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as lines of text."""
    heads = ("images", "pixels", "matched", "off", "ties", "alone", "boxes, px", "scores", "mask pixels")
    return lines(
        [heads]
        + [(*map(str, row[:6]), f"{row.boxes:.2g}", f"{row.scores:.1e}", f"{row.masks:.2%}") for row in rows]
    )


def lines(cells: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines of text, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(line[1:], widths[1:], strict=True))]
        )
        for line in cells
    )
