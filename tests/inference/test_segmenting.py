"""`Segmenter` gives the labels that MMSegmentation gives, in the image's own size; and joins tiles."""

import warnings

import cv2
import numpy as np
import pytest
import torch
from conftest import FILES
from mmengine.structures import PixelData
from mmseg.apis import inference_model, init_model
from mmseg.structures import SegDataSample
from untrained import NAMES, save, segmenter_config

import maxvit_mm
from maxvit_mm.inference.segmenter import Segmenter, dtype_of, only, shares_of
from maxvit_mm.inference.sources import SourceError
from maxvit_mm.inference.tiles import joined_maps, tiles_of
from maxvit_mm.weights import CheckpointError

SLIDING = dict(mode="slide", crop_size=(48, 48), stride=(32, 32))


@pytest.fixture(scope="module")
def images():
    photos = [cv2.imread(str(path)) for path in sorted((FILES / "photos").glob("*.jpg"))]
    return [cv2.resize(photos[0], (150, 101)), cv2.resize(photos[1], (97, 130))]


@pytest.mark.parametrize("test_cfg", [{}, SLIDING], ids=["whole", "sliding"])
def test_labels_are_those_of_mmsegmentation(test_cfg, images, tmp_path):
    cfg = segmenter_config(**test_cfg)
    path = save(cfg, tmp_path / "w.pth")
    cfg.test_pipeline = cfg.test_dataloader.dataset.pipeline  # where MMSegmentation's API looks
    plain = init_model(cfg, str(path), device="cpu")
    found = list(Segmenter(path, deploy=False)([*images, images[0]]))
    for image, (same, labels) in zip([*images, images[0]], found, strict=True):
        assert same is image
        assert labels.shape == image.shape[:2]
        assert labels.dtype == np.uint8
        expected = inference_model(plain, image).pred_sem_seg.data[0].numpy()
        np.testing.assert_array_equal(labels, expected)
    assert len({label for _, labels in found for label in np.unique(labels)}) > 1


def test_images_of_one_size_go_together_and_give_what_they_give_alone(segmenter, images):
    several = [images[0], images[0][:, ::-1].copy(), images[1], images[0]]
    alone = [labels for _, labels in Segmenter(segmenter)(several)]
    together = [labels for _, labels in Segmenter(segmenter, batch_size=3)(several)]
    for one, other in zip(alone, together, strict=True):
        assert np.mean(one != other) < 1e-3


class Painted(torch.nn.Module):
    """Class 1 where the image is red, class 2 where it is blue, 0 elsewhere; wrong at the edges of a view."""

    def test_step(self, data):
        samples = []
        for image in data["inputs"]:
            labels = (image[2] > 250).long() + 2 * (image[0] > 250).long()
            labels[:, [0, -1]] = labels[[0, -1]] = 1
            samples.append(SegDataSample(pred_sem_seg=PixelData(data=labels[None])))
        return samples


@pytest.fixture
def painted(segmenter, monkeypatch):
    canvas = np.full((150, 260, 3), 90, np.uint8)
    canvas[60:80, 10:250] = (0, 0, 255)
    canvas[100:140, 100:140] = (255, 0, 0)
    expected = np.zeros((150, 260), np.uint8)
    expected[60:80, 10:250] = 1
    expected[100:140, 100:140] = 2
    expected[:, [0, -1]] = expected[[0, -1]] = 1
    monkeypatch.setattr("maxvit_mm.inference.opening.build_detector", lambda *_: Painted())
    monkeypatch.setattr(
        "maxvit_mm.inference.predictor.pipeline_of",
        lambda *_: lambda data: dict(inputs=torch.from_numpy(data["img"]).permute(2, 0, 1)),
    )
    return canvas, expected, lambda **options: Segmenter(checkpoint=segmenter, **options)


@pytest.mark.parametrize("options", [{}, {"tile": 100}, {"tile": 70, "batch_size": 4, "overlap": 0.4}])
def test_tiles_meet_where_neither_sees_its_edge(painted, options):
    canvas, expected, segmenter = painted
    ((_, labels),) = segmenter(**options)(canvas)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (101, 64), (333, 207)])
def test_every_pixel_has_one_tile(height, width):
    tiles = tiles_of(height, width, 64, 0.3)
    maps = [np.full((b - t, r - x), number, np.uint8) for number, (x, t, r, b) in enumerate(tiles)]
    whole = joined_maps(tiles, maps, (height, width))
    for number, (left, top, right, bottom) in enumerate(tiles):
        own = np.argwhere(whole == number)
        assert len(own)
        assert (own >= (top, left)).all()
        assert (own < (bottom, right)).all()


def test_pixels_of_classes_that_are_not_wanted_have_none(painted):
    canvas, expected, segmenter = painted
    ((_, labels),) = segmenter(classes=["square", "ground"])(canvas)
    assert set(np.unique(labels)) == {0, 2, 255}
    np.testing.assert_array_equal(labels == 255, expected == 1)
    with pytest.raises(ValueError, match="has no class sky; it has ground, disk, square"):
        segmenter(classes=["sky"])


def test_shares_are_those_of_all_pixels_largest_first():
    labels = np.array([[2, 2, 2, 2], [0, 0, 255, 255]], np.uint8)
    assert shares_of(labels, 3) == [(2, 0.5), (0, 0.25)]
    assert shares_of(only(labels, [1]), 3) == []
    assert dtype_of(255) is np.uint8
    assert dtype_of(256) is np.uint16


def test_the_mirror_image_is_looked_at_and_merged(segmenter, images):
    ((_, once),) = Segmenter(segmenter)(images[0])
    before = list(warnings.filters)
    ((_, both),) = Segmenter(segmenter, tta=True)(images[0])
    assert warnings.filters == before  # one of its own is for the network alone
    ((_, flipped),) = Segmenter(segmenter, tta=True)(np.ascontiguousarray(images[0][:, ::-1]))
    assert both.shape == once.shape
    assert np.mean(both != flipped[:, ::-1]) < 1e-2
    assert np.mean(both != once) > 0


def test_a_checkpoint_is_opened_by_the_class_of_its_task(segmenter, classifier, trained):
    assert maxvit_mm.Segmenter is Segmenter
    assert Segmenter(segmenter).classes.names == NAMES
    with pytest.raises(CheckpointError, match=r"is a segmenter and no detector: open it with maxvit_mm\.Seg"):
        maxvit_mm.Detector(segmenter)
    with pytest.raises(CheckpointError, match="is a classifier and no segmenter: open it with maxvit_mm"):
        Segmenter(classifier)
    with pytest.raises(CheckpointError, match=r"is a detector and no segmenter: open it with maxvit_mm\.Det"):
        Segmenter(trained / "iter_2.pth")
    with pytest.raises(ValueError, match=r"name a checkpoint: Segmenter\("):
        Segmenter()


def test_an_image_whose_scores_would_not_fit_is_named(segmenter):
    page = Segmenter(segmenter, most_pixels=64 * 64)
    with pytest.raises(SourceError, match=r"whose scores for 3 classes need 0\.00432 GB; it takes 0\.00328"):
        list(page(np.zeros((600, 600, 3), np.uint8)))
    assert len(list(page(np.zeros((500, 500, 3), np.uint8)))) == 1
