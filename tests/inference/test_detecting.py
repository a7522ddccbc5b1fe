"""`Detector` finds what MMDetection finds, whatever way the images take; and says why where it cannot."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmdet.apis import inference_detector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

import maxvit_mm
from maxvit_mm.inference.building import build_detector
from maxvit_mm.inference.detector import Detector
from maxvit_mm.openmmlab.own_config import config_of_checkpoint
from maxvit_mm.weights import CheckpointError


@pytest.fixture(scope="module")
def checkpoint(trained):
    return str(trained / "iter_2.pth")


@pytest.fixture(scope="module")
def images(shapes):
    return [cv2.imread(str(path)) for path in sorted((shapes / "val2017").glob("*.jpg"))]


def values(found):
    return found.xyxy, found.confidence, found.class_id, np.asarray(found.mask)


def assert_alike(found, expected):
    """Each find of one has its like in the other; where scores are nearly equal, at another place."""
    assert len(found[0]) == len(expected[0]) > 0
    boxes = np.abs(found[0][:, None] - expected[0]).max(2)
    scores = np.abs(found[1][:, None] - expected[1])
    place = np.where(found[2][:, None] == expected[2], boxes + 100 * scores, np.inf).argmin(0)
    assert sorted(place) == list(range(len(place)))
    pairs = place, np.arange(len(place))
    assert boxes[pairs].max() < 0.02
    assert scores[pairs].max() < 1e-3
    assert np.mean(found[3][place] != expected[3]) < 1e-3  # a pixel on the edge may fall to the other side


def test_what_is_found_is_what_mmdetection_finds(checkpoint, images):
    cfg = config_of_checkpoint(checkpoint)
    plain = build_detector(cfg, checkpoint, None, 0.0, tta=False, deploy=False)
    plain.cfg = cfg
    found = [values(each) for _, each in Detector(checkpoint=checkpoint, score_thr=0.0)(images)]
    together = [
        values(each) for _, each in Detector(checkpoint=checkpoint, score_thr=0.0, batch_size=2)(images)
    ]
    for image, alone, batched in zip(images, found, together, strict=True):
        sample = inference_detector(plain, image).pred_instances
        expected = [sample[key].numpy() for key in ("bboxes", "scores", "labels", "masks")]
        assert_alike(alone, expected)
        assert alone[3].shape[1:] == image.shape[:2]
        assert len(batched[0]) > 0


class Painted(torch.nn.Module):
    """Finds what is painted in pure red (class 0, a score of 0.9) and pure blue (class 1, 0.4)."""

    def test_step(self, data):
        return [self.found(image) for image in data["inputs"]]

    def found(self, image):
        masks = []
        for label, channel in enumerate((2, 0)):  # of BGR
            pure = (image[channel] > 250) & (image[[c for c in range(3) if c != channel]] < 5).all(0)
            if pure.any():
                masks.append((label, pure))
        corners = [torch.nonzero(mask) for _, mask in masks]
        boxes = [
            [*at.min(0).values.flip(0).tolist(), *(at.max(0).values.flip(0) + 1).tolist()] for at in corners
        ]
        labels = torch.tensor([label for label, _ in masks], dtype=torch.long)
        sample = DetDataSample()
        sample.pred_instances = InstanceData(
            bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            scores=torch.tensor([0.9, 0.4])[labels],
            labels=labels,
            masks=torch.stack([mask for _, mask in masks]) if masks else torch.zeros(0, *image.shape[1:]),
        )
        return sample


@pytest.fixture
def painted(checkpoint, monkeypatch):
    """A canvas with a long red bar and a blue square, and `Detector` with a network that sees them."""
    canvas = np.full((150, 260, 3), 90, np.uint8)
    canvas[60:80, 10:250] = (0, 0, 255)
    canvas[100:140, 100:140] = (255, 0, 0)
    monkeypatch.setattr("maxvit_mm.inference.opening.build_detector", lambda *_: Painted())
    return canvas, lambda **options: Detector(checkpoint=checkpoint, **options)


@pytest.mark.parametrize("options", [{}, {"tile": 100}, {"tile": 100, "batch_size": 4, "overlap": 0.4}])
def test_in_tiles_the_same_is_found(painted, options):
    canvas, detector = painted
    ((image, found),) = detector(**options)(canvas)
    assert image is canvas
    assert found.xyxy.tolist() == [[10, 60, 250, 80], [100, 100, 140, 140]]
    assert found.data["class_name"].tolist() == ["disk", "square"]
    np.testing.assert_array_equal(found.mask[0], canvas[..., 2] == 255)
    np.testing.assert_array_equal(found.mask[1], canvas[..., 0] == 255)


def test_a_threshold_and_classes_choose_among_what_is_found(painted):
    canvas, detector = painted
    chosen = [
        [found.data["class_name"].tolist() for _, found in detector(**options)([canvas, canvas])]
        for options in ({"score_thr": 0.5}, {"classes": ["star", "square"]}, {"score_thr": 0.95})
    ]
    assert chosen == [[["disk"]] * 2, [["square"]] * 2, [[]] * 2]


def test_the_mirror_image_is_looked_at_and_merged(checkpoint, images):
    ((_, once),) = Detector(checkpoint=checkpoint, score_thr=0.0)(images[0])
    ((_, both),) = Detector(checkpoint=checkpoint, score_thr=0.0, tta=True)(images[0])
    ((_, flipped),) = Detector(checkpoint=checkpoint, score_thr=0.0, tta=True)(
        np.ascontiguousarray(images[0][:, ::-1])
    )
    assert both.confidence[0] >= once.confidence[0] - 1e-4
    np.testing.assert_allclose(np.sort(both.confidence)[-5:], np.sort(flipped.confidence)[-5:], rtol=1e-3)


def changed(checkpoint, path, change):
    content = torch.load(checkpoint, weights_only=False)
    change(content)
    torch.save(content, path)
    return str(path)


def test_a_checkpoint_that_cannot_be_used_says_why(checkpoint, tmp_path):
    def refused(*arguments, **options):
        with pytest.raises((CheckpointError, ValueError)) as caught:
            Detector(*arguments, **options)
        return str(caught.value)

    def without_classes(content):
        del content["meta"]["dataset_meta"]

    def with_other_classes(content):
        content["meta"]["dataset_meta"]["classes"] = ("cat", "dog")

    path = changed(checkpoint, tmp_path / "nameless.pth", without_classes)
    assert "does not say which classes it was trained on: take the checkpoint that" in refused(path)
    path = changed(checkpoint, tmp_path / "two.pth", with_other_classes)
    assert "was trained on 2 classes (cat, dog), and the config's heads have 4: take the config" in refused(
        path
    )
    path = changed(checkpoint, tmp_path / "bare.pth", lambda content: content["meta"].pop("cfg"))
    assert "does not hold the config that it was trained with" in refused(path)
    assert "the config's heads have 80" in refused("mask_rcnn_maxvit_t_coco", checkpoint)
    other = Config.fromfile(ROOT / "configs/mask_rcnn_maxvit_pico_shapes.py")
    other.test_dataloader.dataset.metainfo.classes = ("star", "square", "triangle", "disk")
    assert "the same classes in another order" in refused(other, checkpoint)
    other = Config.fromfile(ROOT / "configs/mask_rcnn_maxvit_pico_shapes.py")
    other.model.neck.out_channels = 32
    assert "does not fit this detector" in refused(other, checkpoint)
    assert "has no class cat; it has disk, square" in refused(checkpoint, classes=["cat"])
    assert "scores are from 0 to 1" in refused(checkpoint, score_thr=30)
    assert "a tile has 32 pixels or more" in refused(checkpoint, tile=8)
    assert "it is a part of a tile's side" in refused(checkpoint, tile=64, overlap=20)
    assert "there is no device tpu9" in refused(checkpoint, device="tpu9")
    assert "name a checkpoint: Detector(" in refused()


def test_an_image_that_is_too_small_for_the_network_is_named(painted):
    said = {}
    _, detector = painted
    tiny = np.zeros((20, 50, 3), np.uint8)
    assert list(detector()(tiny, complain=said.__setitem__)) == []
    assert said == {
        "array 0": "is 50x20 pixels, of which the network sees 20 along a side; it takes 32 or more"
    }


def test_the_door_of_the_package_has_the_detector_and_imports_nothing_for_it_before():
    program = "import maxvit_mm, sys; print({'mmdet', 'supervision'} & set(sys.modules))"
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[-1] == "set()"
    assert maxvit_mm.Detector is Detector


def test_without_supervision_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("maxvit_mm.inference.libraries.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"predictions need supervision: pip install 'supervision>=0\.31'"):
        maxvit_mm.Detector  # noqa: B018
