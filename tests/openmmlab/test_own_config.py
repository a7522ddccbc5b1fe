"""The config inside a checkpoint: the whole of it, and nothing that runs."""

from pathlib import Path

import pytest
import torch
from conftest import ROOT
from mmengine.config import Config

from maxvit_mm.openmmlab.own_config import config_of_checkpoint
from maxvit_mm.weights import CheckpointError


def carrying(text) -> dict:
    """A checkpoint with the text of a config in it."""
    return {"state_dict": {}, "meta": {"cfg": text}}


@pytest.mark.parametrize("config", ["mask_rcnn_maxvit_pico_shapes", "dino_maxvit_t_coco"])
def test_a_config_comes_back_from_a_checkpoint_as_it_was(config):
    whole = Config.fromfile(ROOT / "configs" / f"{config}.py")
    whole.odd = {"a.b": {"c": (1, -2.5, None), 3: [True, float("inf")]}, "d": {}}
    found = config_of_checkpoint("w.pth", carrying(whole.pretty_text))
    expected = whole.to_dict()
    del expected["custom_imports"]
    assert found.to_dict() == expected
    assert isinstance(found.odd["a.b"]["c"], tuple)


def test_a_training_leaves_a_checkpoint_that_knows_its_config(trained):
    cfg = config_of_checkpoint(str(trained / "iter_2.pth"))
    assert cfg.model.roi_head.bbox_head.num_classes == 4
    assert cfg.test_dataloader.dataset.type.endswith("CocoByNameDataset")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open('ran', 'w')", "line 1 is no assignment"),
        ("a = 1\nb = open('ran', 'w')", "line 2 is open('ran', 'w'), no value"),
        ("import os", "line 1 is no assignment"),
        ("a = [x for x in (1,)]", "no value"),
        ("a = dict(**b)", "copies a dict"),
        ("a = dict(b)", "copies a dict"),
        ("a = f'{open}'", "no value"),
        ("a = " + "-" * 100_000 + "1", "it is no config's text"),
        ("a = " + "[" * 5000 + "]" * 5000, "it is no config's text"),
        ("a = (", "it is no config's text"),
        ("a = {[]: 1}", "it is no config's text"),
        # What would run later, when the model or the run is built:
        ("custom_imports = dict(imports=['antigravity'])", "it imports antigravity"),
        ("model = dict(type='os.system', command='touch ran')", "it names os.system"),
        ("model = dict(type='mmengine.load', file='evil.pkl')", "it names mmengine.load"),
        ("model = dict(type='mmengine.fileio.io.dump', file='ran')", "it names mmengine.fileio.io.dump"),
        ("model = dict(type='mmengine.config.config.os.system')", "it names mmengine.config.config.os"),
        ("model = dict(type='mmdet.apis.DetInferencer')", "it names mmdet.apis.DetInferencer"),
        ("model = dict(type='maxvit_mm.commands.train.main')", "it names maxvit_mm.commands.train.main"),
        ("model = dict(type='antigravity')", "it names antigravity"),
        ("nms = dict(type=\"open('ran', 'w')\")", "a type is \"open('ran', 'w')\", no name"),
        ("custom_hooks = [dict(type='EMAHook', ema_type='subprocess.Popen')]", "it names subprocess.Popen"),
        ("optim_wrapper = dict(constructor='os.system')", "it names os.system"),
        ("custom_hooks = ['os.system']", "it names os.system"),
        ("default_scope = 'this'", "its default_scope is this"),
        ("filename = 'a.py'", "filename is reserved"),
    ],
)  # fmt: skip
def test_what_could_run_is_refused_and_does_not(text, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        config_of_checkpoint("w.pth", carrying(text))
    said = str(caught.value)
    assert said.startswith("w.pth: the config in it was not used, since it could run code (")
    assert reason in said
    assert "name the config file before it" in said
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["torch.optim.AdamW", "mmdet.models.detectors.MaskRCNN", "mmdet.MaskRCNN"])
def test_parts_of_configs_may_be_named_in_full(name):
    assert config_of_checkpoint("w.pth", carrying(f"model = dict(type={name!r})")).model.type == name


def test_a_checkpoint_without_a_config_says_what_to_do(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth does not hold the config .* name the config file"):
        config_of_checkpoint(str(tmp_path / "w.pth"))
    with pytest.raises(CheckpointError, match=r"w\.pth: the config in it has no model: name the config file"):
        config_of_checkpoint("w.pth", carrying("train_cfg = dict(max_epochs=1)"))
