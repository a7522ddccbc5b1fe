"""`Classifier` gives the probabilities that MMPretrain gives, best first."""

import cv2
import numpy as np
import pytest
from conftest import FILES
from mmengine.registry import init_default_scope
from mmpretrain.apis import ImageClassificationInferencer, get_model
from untrained import NAMES, classifier_config

import maxvit_mm
from maxvit_mm.inference.classifier import Classifier
from maxvit_mm.inference.sources import SourceError
from maxvit_mm.weights import CheckpointError


@pytest.fixture(scope="module")
def images():
    return [cv2.imread(str(path)) for path in sorted((FILES / "photos").glob("*.jpg"))]


def probabilities(found):
    """In the order of the classes."""
    assert (np.diff(found.confidence) <= 0).all()
    return found.confidence[np.argsort(found.class_id)]


def test_probabilities_are_those_of_mmpretrain(classifier, images):
    model = get_model(classifier_config(), str(classifier), device="cpu")
    init_default_scope("mmpretrain")
    expected = ImageClassificationInferencer(model)(list(images))
    for options in ({}, {"batch_size": 2}):
        found = list(Classifier(classifier, **options)(images))
        for (_, own), theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(probabilities(own), theirs["pred_scores"], rtol=1e-4, atol=1e-6)
            assert own.class_id[0] == theirs["pred_label"]


def test_the_mirror_image_is_looked_at_and_averaged(classifier, images):
    image = images[0]
    mirrored = np.ascontiguousarray(image[:, ::-1])
    once, other = (probabilities(found) for _, found in Classifier(classifier)([image, mirrored]))
    ((_, both),) = Classifier(classifier, tta=True)(image)
    np.testing.assert_allclose(probabilities(both), (once + other) / 2, rtol=1e-2, atol=1e-5)


def test_some_classes_are_chosen_among_and_keep_their_probabilities(classifier, images):
    ((_, every),) = Classifier(classifier)(images[0])
    ((_, some),) = Classifier(classifier, classes=["square", "ground"])(images[0])
    kept = [label for label in every.class_id if NAMES[label] != "disk"]
    assert some.class_id.tolist() == kept
    assert some.confidence.tolist() == [every.confidence[every.class_id == label][0] for label in kept]


def test_a_checkpoint_is_opened_by_the_class_of_its_task(classifier, segmenter):
    assert maxvit_mm.Classifier is Classifier
    with pytest.raises(CheckpointError, match=r"is a classifier and no detector: open it with maxvit_mm\.Cl"):
        maxvit_mm.Detector(classifier)
    with pytest.raises(CheckpointError, match="is a segmenter and no classifier: open it with maxvit_mm"):
        Classifier(segmenter)


def test_an_image_that_would_be_resized_beyond_measure_is_named(classifier):
    with pytest.raises(SourceError, match="3000x20 pixels, 150 times as long as wide; it takes 100 times"):
        list(Classifier(classifier)(np.zeros((20, 3000, 3), np.uint8)))
