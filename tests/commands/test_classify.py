"""Classification with converted weights, as a user calls it."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from conftest import FILES, SMALL, about_weights, randomise
from runs import refusal

from maxvit_mm.commands.classify import main
from maxvit_mm.inference.classify import top_5
from maxvit_mm.inference.imagenet import imagenet_classes
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.openmmlab.official_crop import preprocess
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


def test_what_cannot_be_classified_is_named(checkpoint, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "val" / "dogs").mkdir(parents=True)
    assert "text.jpg is no image that can be read" in refusal(
        main, tmp_path / "text.jpg", "--checkpoint", checkpoint
    )
    assert "none.jpg is not there" in refusal(main, tmp_path / "none.jpg", "--checkpoint", checkpoint)
    assert "unknown folders dogs" in refusal(main, "--val", tmp_path / "val", "--checkpoint", checkpoint)
    assert "0 folders" in refusal(main, "--val", tmp_path / "val" / "dogs", "--checkpoint", checkpoint)
    assert refusal(main, PHOTOS[0], "--checkpoint", checkpoint, "--image-size", "16") == "2"
    assert "--image-size must be 32 pixels or more" in capsys.readouterr().err
    (tmp_path / "val" / "dogs").rename(tmp_path / "val" / "n01440764")
    shutil.copy(tmp_path / "text.jpg", tmp_path / "val" / "n01440764")
    message = refusal(main, "--val", tmp_path / "val", "--checkpoint", checkpoint, "--workers", "1")
    assert (
        message.strip()
        == f"error: {tmp_path / 'val' / 'n01440764' / 'text.jpg'} is no image that can be read"
    )


def test_checkpoints_without_what_classification_needs_are_refused(tmp_path):
    model = randomise(MaxViTClassifier(SMALL, 1000))
    unknown = write(model, tmp_path / "unknown.pth", image_size=None)
    assert "convert it again with --image-size" in refusal(main, PHOTOS[0], "--checkpoint", unknown)
    headless = write(model, tmp_path / "headless.pth", classes=None)
    with pytest.raises(CheckpointError, match="has no classification head"):
        MaxViTClassifier.from_checkpoint(headless)
    torch.save(model.state_dict(), tmp_path / "raw.pth")
    with pytest.raises(CheckpointError, match="was not converted: run `python"):
        MaxViTClassifier.from_checkpoint(str(tmp_path / "raw.pth"))
