"""The config inside a checkpoint: the whole of it, and nothing that runs."""

import importlib
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from mmengine.config import Config

from maxvit_mm.openmmlab import task_packages
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


SEGMENTER = """
default_scope = 'mmseg'
custom_imports = dict(imports=['maxvit_mm', 'mmseg.models'])
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', seg_pad_val=255),
    backbone=dict(type='MaxViT', arch='pico'),
    decode_head=dict(type='UPerHead', loss_decode=dict(type='CrossEntropyLoss')))
test_dataloader = dict(dataset=dict(
    type='mmseg.datasets.ADE20KDataset', seg_map_suffix='_labels.png',
    pipeline=[dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
visualizer = dict(type='SegLocalVisualizer', name='visualizer')
"""
CLASSIFIER = """
default_scope = 'mmpretrain'
model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='MaxViT', arch='pico'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', loss=dict(type='LabelSmoothLoss')),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]))
train_dataloader = dict(
    dataset=dict(type='ImageNet', pipeline=[
        dict(type='RandAugment', policies='timm_increasing'), dict(type='PackInputs')]),
    sampler=dict(type='RepeatAugSampler'))
test_evaluator = dict(type='Accuracy', topk=(1, 5))
out = dict(type='DumpResults', out_file_path='results.pkl')
"""


@pytest.mark.parametrize("text", [SEGMENTER, CLASSIFIER], ids=["segmenter", "classifier"])
def test_a_config_of_another_task_comes_back_as_it_was(text):
    expected = Config.fromstring(text.replace("'mmseg.models'", ""), ".py").to_dict()
    expected.pop("custom_imports", None)
    assert config_of_checkpoint("w.pth", carrying(text)).to_dict() == expected


@pytest.mark.parametrize(("text", "name"), [(SEGMENTER, "MMSegmentation"), (CLASSIFIER, "MMPretrain")])
def test_a_config_of_a_framework_that_is_missing_says_what_installs_it(text, name, monkeypatch):
    monkeypatch.setattr(task_packages, "find_spec", lambda folder: folder == "mmdet" or None)
    with pytest.raises(CheckpointError, match=rf"^w\.pth: its config is for {name}, .*: run `pip install "):
        config_of_checkpoint("w.pth", carrying(text))


def test_what_fetches_a_tokenizer_from_the_web_is_refused(monkeypatch):
    """It takes `trust_remote_code`, and is there where transformers is installed, which it is not here."""

    def from_pretrained(**options): ...

    from_pretrained.__module__ = "mmpretrain.models.utils.huggingface"
    tokenizers = importlib.import_module("mmpretrain.registry").TOKENIZER
    monkeypatch.setitem(tokenizers.module_dict, "AutoTokenizer", from_pretrained)
    for name in ("AutoTokenizer", "mmpretrain.AutoTokenizer"):
        with pytest.raises(CheckpointError, match=f"it names {name}"):
            config_of_checkpoint("w.pth", carrying(f"{CLASSIFIER}\ntokenizer = dict(type='{name}')"))


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
        ("model = dict(type='mmseg.apis.inference_model')", "it names mmseg.apis.inference_model"),
        ("model = dict(type='mmseg.apis.MMSegInferencer')", "it names mmseg.apis.MMSegInferencer"),
        ("model = dict(type='mmpretrain.apis.get_model', model='r')", "it names mmpretrain.apis.get_model"),
        ("model = dict(type='mmpretrain.models.utils.torch.load')", "it names mmpretrain.models.utils.torch"),
        ("a = dict(type='mmpretrain.HuggingFaceClassifier')", "it names mmpretrain.HuggingFaceClassifier"),
        ("default_scope = 'mmseg'\nmodel = dict(type='VPD')", "it names VPD"),
        ("a = dict(type='torchvision/ConvertImageDtype', dtype='x')", "ConvertImageDtype', no name"),
        ("data = dict(ann_file='http://a.b/c.pkl')", "it reads http://a.b/c.pkl"),
        ("data = dict(ann_file='http://a.b/c.json?d=.pickle')", "it reads http://a.b/c.json"),
        ("data = dict(ann_file='a/b.yaml')", "it reads a/b.yaml"),
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


PARTS = ["torch.optim.AdamW", "mmdet.models.detectors.MaskRCNN", "mmdet.MaskRCNN"]
PARTS += ["mmseg.models.UPerHead", "mmpretrain.models.ImageClassifier"]


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_configs_may_be_named_in_full(name):
    assert config_of_checkpoint("w.pth", carrying(f"model = dict(type={name!r})")).model.type == name


def test_a_checkpoint_without_a_config_says_what_to_do(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth does not hold the config .* name the config file"):
        config_of_checkpoint(str(tmp_path / "w.pth"))
    with pytest.raises(CheckpointError, match=r"w\.pth: the config in it has no model: name the config file"):
        config_of_checkpoint("w.pth", carrying("train_cfg = dict(max_epochs=1)"))
