"""Classification with converted weights, and the official preprocessing."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from conftest import FILES, SMALL, about_weights, randomise

from maxvit_mm.inference.classify import imagenet_classes, labelled_images, main, preprocess, top_5
from maxvit_mm.network import VARIANTS
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.weights import CheckpointError, Weights, write_weights

PHOTOS = sorted((FILES / "photos").glob("*.jpg"))


@pytest.fixture
def checkpoint(tmp_path):
    """Random weights with a head of 1000 classes, as the converter writes them."""
    return write(randomise(MaxViTClassifier(SMALL, 1000)), tmp_path / "w.pth", classes=1000)


def write(model, path, **about):
    known = about_weights(image_size=96, classes=1000, mean=[127.5] * 3, std=[127.5] * 3)
    write_weights(path, Weights(model.state_dict(), {**known, **about}))
    return str(path)


def refusal(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return str(caught.value)


# MaxViT-T's of the table in the paper's code, each with a head of 1000 classes
WITH_HEAD = dict(tiny=30_916_528, small=68_927_956, base=119_467_708, large=211_785_560, xlarge=474_951_952)


def test_parameters_with_a_head_are_those_of_the_official_network():
    assert WITH_HEAD.keys() == VARIANTS.keys() - {"pico"}
    for arch, parameters in WITH_HEAD.items():
        with torch.device("meta"):
            assert sum(p.numel() for p in MaxViTClassifier(arch).parameters()) == parameters


def test_imagenets_classes_are_in_their_order():
    ids, names = imagenet_classes()
    assert len(set(ids)) == len(names) == 1000
    assert ids == sorted(ids)
    assert (ids[0], names[0], names[281], names[999]) == ("n01440764", "tench", "tabby", "toilet tissue")


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


def test_top_5_are_the_most_probable_classes_of_the_normalised_image(checkpoint, capsys):
    model = MaxViTClassifier.from_checkpoint(checkpoint)
    with torch.inference_mode():
        found = top_5(model, PHOTOS[:1])[0]
        image = preprocess(cv2.imread(str(PHOTOS[0]))[..., ::-1], 96, 96).astype(np.float32)
        images = torch.from_numpy(image / 127.5 - 1).permute(2, 0, 1)[None]
        expected = model(images).softmax(1)[0].sort(descending=True)
    assert [index for _, index in found] == expected.indices[:5].tolist()
    np.testing.assert_allclose([p for p, _ in found], expected.values[:5].numpy(), rtol=1e-4)
    main([str(PHOTOS[0]), "--checkpoint", checkpoint, "--image-size", "150"])
    said = capsys.readouterr().out.splitlines()
    assert said[-6] == str(PHOTOS[0])
    assert all(line.split(maxsplit=1)[1] in imagenet_classes()[1] for line in said[-5:])


def test_accuracy_over_a_folder_in_imagenets_layout(checkpoint, tmp_path, capsys):
    model = MaxViTClassifier.from_checkpoint(checkpoint)
    ids = imagenet_classes()[0]
    cv2.imwrite(str(tmp_path / "third.jpg"), cv2.imread(str(PHOTOS[0]))[:, ::-1])
    photos = [*PHOTOS, tmp_path / "third.jpg"]
    with torch.inference_mode():
        best = [[index for _, index in found] for found in top_5(model, photos)]
    # the first photograph's class is the model's first choice, the second's its third, the last's none
    wrong = next(i for i in range(1000) if i not in best[2])
    for photo, label in zip(photos, (best[0][0], best[1][2], wrong), strict=True):
        (tmp_path / "val" / ids[label]).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, tmp_path / "val" / ids[label])
    main(["--val", str(tmp_path / "val"), "--checkpoint", checkpoint, "--batch-size", "2", "--workers", "0"])
    assert capsys.readouterr().out.splitlines()[-1] == "top-1 33.33 %, top-5 66.67 % of 3 images"


def test_folders_of_other_classifiers_are_taken_in_alphabetical_order(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    paths, labels = labelled_images(tmp_path, 2)
    assert [path.parent.name for path in paths] == ["a", "b"]
    assert labels.tolist() == [0, 1]


def test_what_cannot_be_classified_is_named(checkpoint, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "val" / "dogs").mkdir(parents=True)
    assert "text.jpg is no image that can be read" in refusal(
        tmp_path / "text.jpg", "--checkpoint", checkpoint
    )
    assert "none.jpg is not there" in refusal(tmp_path / "none.jpg", "--checkpoint", checkpoint)
    assert "unknown folders dogs" in refusal("--val", tmp_path / "val", "--checkpoint", checkpoint)
    assert "0 folders" in refusal("--val", tmp_path / "val" / "dogs", "--checkpoint", checkpoint)
    assert refusal(PHOTOS[0], "--checkpoint", checkpoint, "--image-size", "16") == "2"
    assert "--image-size must be 32 pixels or more" in capsys.readouterr().err
    (tmp_path / "val" / "dogs").rename(tmp_path / "val" / "n01440764")
    shutil.copy(tmp_path / "text.jpg", tmp_path / "val" / "n01440764")
    message = refusal("--val", tmp_path / "val", "--checkpoint", checkpoint, "--workers", "1")
    assert (
        message.strip()
        == f"error: {tmp_path / 'val' / 'n01440764' / 'text.jpg'} is no image that can be read"
    )


def test_checkpoints_without_what_classification_needs_are_refused(tmp_path):
    model = randomise(MaxViTClassifier(SMALL, 1000))
    unknown = write(model, tmp_path / "unknown.pth", image_size=None)
    assert "convert it again with --image-size" in refusal(PHOTOS[0], "--checkpoint", unknown)
    headless = write(model, tmp_path / "headless.pth", classes=None)
    with pytest.raises(CheckpointError, match="has no classification head"):
        MaxViTClassifier.from_checkpoint(headless)
    torch.save(model.state_dict(), tmp_path / "raw.pth")
    with pytest.raises(CheckpointError, match="was not converted: run `python"):
        MaxViTClassifier.from_checkpoint(str(tmp_path / "raw.pth"))
