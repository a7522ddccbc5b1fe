import torch
from mmdet.structures import DetDataSample
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from maxvit_mm.openmmlab.tta import InstanceTTAModel, flip_back


class Detector(BaseModel):
    def forward(self):
        raise AssertionError("merging needs no detector")


def model():
    init_default_scope("mmdet")
    tta_cfg = dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=2)
    return InstanceTTAModel(tta_cfg=tta_cfg, module=Detector())


def view(boxes, scores, flip):
    masks = torch.zeros(len(boxes), 8, 10, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    sample = DetDataSample(metainfo=dict(ori_shape=(8, 10), flip=flip, flip_direction="horizontal"))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.zeros(len(boxes), dtype=torch.long),
        masks=masks,
    )
    return sample


def test_a_kept_box_brings_its_mask_the_right_way_round():
    plain = view([(1, 1, 4, 5)], [0.6], flip=False)
    mirrored = view([(6, 1, 9, 5), (0, 0, 2, 2)], [0.9, 0.8], flip=True)  # the first is the same object
    found = model().merge_preds([[plain, mirrored]])[0].pred_instances
    assert found.scores.tolist() == torch.tensor([0.9, 0.8]).tolist()
    assert found.bboxes.tolist() == [[1, 1, 4, 5], [8, 0, 10, 2]]
    for (x1, y1, x2, y2), mask in zip(found.bboxes.int().tolist(), found.masks, strict=True):
        expected = torch.zeros(8, 10, dtype=torch.bool)
        expected[y1:y2, x1:x2] = True
        assert mask.equal(expected)


def test_views_without_a_box_merge_to_none():
    found = model().merge_preds([[view([], [], False), view([], [], True)]])[0].pred_instances
    assert len(found) == 0
    assert found.masks.shape == (0, 8, 10)


def test_flips_are_undone_in_every_direction():
    masks = torch.arange(6).reshape(1, 2, 3)
    for direction, axes in [("horizontal", [2]), ("vertical", [1]), ("diagonal", [1, 2])]:
        assert flip_back(masks.flip(axes), dict(flip=True, flip_direction=direction)).equal(masks)
