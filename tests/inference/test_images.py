"""The official preprocessing."""

import cv2
import numpy as np

from maxvit_mm.openmmlab.official_crop import preprocess


def test_224_is_cropped_and_larger_sizes_are_squashed():
    image = np.zeros((256, 400, 3), np.uint8)
    image[:, :60] = image[:, -60:] = 255  # outside of the central square of 224
    assert preprocess(image, 224, 224).max() == 0
    assert preprocess(image, 384, 384).max() == 255
    rows = np.arange(256, dtype=np.uint8)[:, None, None].repeat(400, 1).repeat(3, 2)
    np.testing.assert_array_equal(preprocess(rows, 224, 224)[:, 0, 0], np.arange(16, 240))  # 256 * 224 / 256


def test_torchvisions_weights_take_the_whole_central_square_and_resizing_is_bicubic():
    image = np.arange(200, dtype=np.uint8)[None, :, None].repeat(100, 0).repeat(3, 2)
    np.testing.assert_array_equal(preprocess(image, 100, 100, margin=0)[0, :, 0], np.arange(50, 150))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    expected = cv2.resize(noise, (90, 90), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(preprocess(noise, 90, 384), expected)
