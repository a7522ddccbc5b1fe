"""A segmenter and a classifier exported as a user does it, and the file in a checkpoint's place."""

import re
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from conftest import SMALL
from mmengine.config import Config
from runs import QUICK, forget_runs, refusal
from untrained import classifier_config, save

import maxvit_mm
from maxvit_mm.commands.export import main as export
from maxvit_mm.commands.test import main as evaluate
from maxvit_mm.inference.exporting import checks
from maxvit_mm.inference.exporting import export as exporting
from maxvit_mm.inference.exporting.reading import session_of
from maxvit_mm.inference.exporting.running import outputs_of
from maxvit_mm.openmmlab.shipped_configs import find_config
from maxvit_mm.weights import CheckpointError

pytestmark = pytest.mark.usefixtures("elsewhere")
FEW = {**SMALL, "depths": (1, 1, 1, 1)}
SHAPES = ("background", "disk", "square", "triangle", "star")


class Exported(NamedTuple):
    checkpoint: Path
    file: Path
    said: str


def exported(cfg, folder, classes):
    checkpoint = save(cfg, folder / "small.pth", classes)
    saved = torch.load(checkpoint)
    for name, tensor in saved["state_dict"].items():
        if name.startswith(("head.", "decode_head.conv_seg.")):
            tensor *= 0.1  # so that no probability is nearly 0 or 1
    torch.save(saved, checkpoint)
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        export([str(checkpoint), str(folder / "small.onnx")])
    return Exported(checkpoint, folder / "small.onnx", "\n".join(lines))


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """UPerNet on two blocks, which are quickly exported."""
    cfg = Config.fromfile(find_config("upernet_maxvit_pico_shapes"))
    cfg.model.backbone.update(arch=FEW, out_indices=(0, 1), norm_cfg=None)
    cfg.model.decode_head.update(in_channels=[32, 32], in_index=[0, 1], channels=8)
    del cfg.model["auxiliary_head"]
    return exported(cfg, tmp_path_factory.mktemp("segmenter"), SHAPES)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """Of one block, whose partition follows the image's size."""
    cfg = classifier_config()
    cfg.model.backbone.update(arch=FEW, out_indices=(0,), partition_size="scaled")
    cfg.model.head.in_channels = 32
    return exported(cfg, tmp_path_factory.mktemp("classifier"), ("ground", "disk", "square"))


def test_a_segmenter_that_slides_a_window_is_exported_once_it_sees_images_whole(tmp_path, monkeypatch):
    cfg = Config.fromfile(find_config("upernet_maxvit_pico_shapes"))
    cfg.model.backbone.arch = FEW
    cfg.model.test_cfg = dict(mode="slide", crop_size=(64, 64), stride=(32, 32))
    command = [save(cfg, tmp_path / "small.pth", SHAPES), tmp_path / "small.onnx"]
    whole = ["--cfg-options", "model.test_cfg.mode=whole"]
    assert " ".join(whole) in refusal(export, *command)
    assert "a config has no modal" in refusal(export, *command, "--cfg-options", "modal.test_cfg.mode=whole")
    taken = []

    def stop(model):
        taken.append(model.test_cfg.mode)
        raise CheckpointError("it stops here")

    monkeypatch.setattr("maxvit_mm.inference.exporting.segmenting.SegmenterGraph", stop)
    assert refusal(export, *command, *whole) == "it stops here"
    assert taken == ["whole"]


def of_many_sizes(shapes):
    for file, size in zip(sorted((shapes / "val2017").iterdir())[:2], ((150, 170), (97, 139)), strict=True):
        yield cv2.imread(str(file))[: size[0], : size[1]]


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_classes_and_probabilities_are_compared_and_printed(kind, request):
    made = request.getfixturevalue(kind)
    for name in ("a scene", "an odd size", "two together", "no object"):
        assert re.search(rf"^{name} .* [1-9]\d*  +0  +\d+  +\d\.\de[-+]\d\d$", made.said, re.MULTILINE), (
            made.said
        )
    assert "images a second by PyTorch" in made.said
    assert list(made.file.parent.glob("*.onnx")) == [made.file]


def test_a_partition_that_follows_the_image_is_in_the_file(classifier):
    model = maxvit_mm.inference.opening.open_checkpoint(classifier.checkpoint).build()
    assert model.backbone.trunk.partition_size == "scaled"
    given = torch.from_numpy(np.random.default_rng(0).integers(256, size=(2, 3, 97, 230), dtype=np.uint8))
    expected = model.test_step(dict(inputs=given, data_samples=None))
    (found,) = outputs_of(session_of(str(classifier.file)), list(given))
    torch.testing.assert_close(
        found, torch.stack([sample.pred_score for sample in expected]), atol=1e-5, rtol=0
    )
    assert 0.05 < found.min() < found.max() < 0.95


def test_a_segmenters_file_takes_its_checkpoints_place(segmenter, shapes):
    both = [
        [labels for _, labels in maxvit_mm.Segmenter(checkpoint=file)([*of_many_sizes(shapes)])]
        for file in (segmenter.checkpoint, segmenter.file)
    ]
    for wanted, found in zip(*both, strict=True):
        assert found.shape == wanted.shape
        assert (found != wanted).mean() < 1e-3
        assert len(np.unique(wanted)) > 1


def test_a_classifiers_file_takes_its_checkpoints_place(classifier, shapes):
    both = [
        [found for _, found in maxvit_mm.Classifier(checkpoint=file)([*of_many_sizes(shapes)])]
        for file in (classifier.checkpoint, classifier.file)
    ]
    for wanted, found in zip(*both, strict=True):
        np.testing.assert_array_equal(found.class_id, wanted.class_id)
        np.testing.assert_allclose(found.confidence, wanted.confidence, atol=1e-4)


def test_it_is_evaluated_as_its_checkpoint_is(segmenter, shapes):
    metrics = []
    for file in (segmenter.checkpoint, segmenter.file):
        forget_runs()
        metrics.append(
            evaluate([str(file), "--data", str(shapes), "--work-dir", "w", "--cfg-options", *QUICK])
        )
    assert metrics[1] == pytest.approx(metrics[0], abs=0.02, nan_ok=True)  # mIoU is in percent
    assert metrics[0]["aAcc"] > 0


def test_another_kinds_file_is_refused(segmenter, classifier):
    for one, other in ((segmenter, classifier), (classifier, segmenter)):
        cfg = maxvit_mm.inference.opening.open_checkpoint(one.checkpoint).config
        opened = maxvit_mm.inference.opening.open_checkpoint(other.file)
        with pytest.raises(ValueError, match=r"holds a \w+, and the config is for a \w+"):
            opened._replace(config=cfg).build()


def test_a_file_that_says_something_else_is_not_kept(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(
        exporting, "write_onnx", lambda _, path, *rest: path.write_bytes(classifier.file.read_bytes())
    )
    between = checks.between
    monkeypatch.setattr(checks, "between", lambda *words: between(*words)._replace(worst=0.5))
    said = refusal(export, classifier.checkpoint, "other.onnx")
    assert "probabilities by ONNX Runtime and by PyTorch differ by more than 0.001" in said
    assert list(tmp_path.iterdir()) == []
