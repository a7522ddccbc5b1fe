"""Exporting as a user starts it, and the file in a checkpoint's place."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from runs import PICO, QUICK, forget_runs, onnx_file, refusal

from maxvit_mm import Detector
from maxvit_mm.commands.attention import main as attention
from maxvit_mm.commands.export import main as export
from maxvit_mm.commands.test import main as evaluate
from maxvit_mm.inference.exporting import comparison
from maxvit_mm.inference.exporting import export as exporting
from maxvit_mm.openmmlab.shipped_configs import find_config
from maxvit_mm.weights import CheckpointError
from maxvit_mm.weights.checkpoint import load_from_local

pytestmark = pytest.mark.usefixtures("elsewhere")
CLASSES = ("disk", "square", "triangle", "star")
EXAMPLE = re.search(r"```python\n(import cv2\n.+?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)[1]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A detector on the first two stages, which are quickly exported; its weights are random."""
    cfg = Config.fromfile(find_config(PICO))
    cfg.model.backbone.update(out_indices=(0, 1))
    cfg.model.neck.in_channels = [32, 64]
    cfg.model.test_cfg.rpn.update(nms_pre=100, max_per_img=30)
    cfg.model.test_cfg.rcnn.update(max_per_img=10)
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.nn.init.normal_(model.roi_head.bbox_head.fc_cls.weight, std=0.05)
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=CLASSES))
    file = tmp_path_factory.mktemp("exported") / "small.pth"
    torch.save(dict(state_dict=model.state_dict(), meta=meta), file)
    return file


@pytest.fixture(scope="module")
def exported(checkpoint):
    """The ONNX file of the command, and what it said."""
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        export([str(checkpoint), str(checkpoint.with_suffix(".onnx"))])
    return checkpoint.with_suffix(".onnx"), "\n".join(lines)


def test_what_both_find_is_compared_and_printed(exported):
    file, said = exported
    for name in ("a scene", "an odd size", "two together", "no object"):
        assert re.search(rf"^{name} .* 0  +0  ", said, re.MULTILINE), said
    assert "images a second by PyTorch" in said
    assert list(file.parent.glob("*.onnx")) == [file]


def test_the_file_takes_a_checkpoints_place(exported, checkpoint, shapes):
    file, _ = exported
    images = sorted((shapes / "val2017").iterdir())[:2]
    batches = (
        [found for _, found in Detector(checkpoint=one, score_thr=0.05, batch_size=2)(list(map(str, images)))]
        for one in (checkpoint, file)
    )
    for wanted, found in zip(*batches, strict=True):
        assert len(wanted) > 0
        np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=0.05)
        assert np.asarray(found.mask).shape == np.asarray(wanted.mask).shape


def test_it_is_evaluated_as_its_checkpoint_is(exported, checkpoint, shapes):
    metrics = []
    for file in (checkpoint, exported[0]):
        forget_runs()
        metrics.append(
            evaluate([str(file), "--data", str(shapes), "--work-dir", "w", "--cfg-options", *QUICK])
        )
    assert metrics[1] == pytest.approx(metrics[0], abs=1e-3, nan_ok=True)


def test_the_example_of_the_page_needs_no_pytorch(exported, shapes, tmp_path):
    shutil.copy(exported[0], tmp_path / "mine.onnx")
    image = sorted((shapes / "val2017").iterdir())[0]
    cv2.imwrite(str(tmp_path / "photo.jpg"), cv2.imread(str(image)))
    program = EXAMPLE + "\nimport sys\nassert 'torch' not in sys.modules\n"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    _, found = next(Detector(checkpoint=exported[0], score_thr=0.3)("photo.jpg"))
    assert len(said.splitlines()) == len(found)
    assert Path("found.png").is_file()


def test_a_file_that_finds_something_else_is_not_kept(exported, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "write_onnx", lambda _, path, *rest: shutil.copy(exported[0], path))
    compare = comparison.compare
    monkeypatch.setattr(comparison, "compare", lambda *words: compare(*words)._replace(alone=50))
    assert "finds are others by ONNX Runtime than by PyTorch" in refusal(export, checkpoint, "other.onnx")
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_written_down_cannot_be_changed(exported, shapes):
    options = ["--data", shapes, "--cfg-options", *QUICK, "model.test_cfg.rcnn.score_thr=0.3"]
    message = refusal(evaluate, exported[0], *options)
    assert "whose settings are fixed" in message
    assert "score_thr is 0.3 here" in message


def test_a_checkpoint_is_wanted_where_weights_are(exported, shapes):
    image = next((shapes / "val2017").iterdir())
    for command, more in ((export, "again.onnx"), (attention, image)):
        assert "name the checkpoint that it was exported from" in refusal(command, exported[0], more)
    with pytest.raises(CheckpointError, match="no weights to start from: name the checkpoint that it was"):
        load_from_local(str(exported[0]))


def test_other_precisions_and_devices_are_refused(exported):
    with pytest.raises(ValueError, match="leave out amp"):
        Detector(checkpoint=exported[0], amp=True)
    with pytest.raises(ValueError, match="run on the CPU here, not on cuda"):
        Detector(checkpoint=exported[0], device="cuda")


def test_an_onnx_file_of_another_model_is_refused(shapes):
    onnx_file("other.onnx")
    said = refusal(evaluate, "other.onnx", "--data", shapes)
    assert "other.onnx is an ONNX file of another model" in said
    Path("text.onnx").write_text("no model")
    assert "damaged or no ONNX file" in refusal(evaluate, "text.onnx", "--data", shapes)


def test_bad_names_and_missing_packages_are_said_first(checkpoint, monkeypatch):
    assert "ends in .onnx" in refusal(export, checkpoint, "out.pt")
    assert "in a folder that is there" in refusal(export, checkpoint, "none/out.onnx")
    Path("there.onnx").touch()
    assert "write over it with --force" in refusal(export, checkpoint, "there.onnx")
    monkeypatch.setattr("maxvit_mm.inference.libraries.find_spec", lambda name: None)
    said = refusal(export, checkpoint, "new.onnx")
    assert said.endswith("pip install onnx onnxscript onnxruntime")
