"""A detector's checkpoint is loaded whole, or not at all, by whoever loads it."""

import pytest
import torch
from conftest import SMALL
from torch import nn

from maxvit_mm import MaxViT
from maxvit_mm.weights import CheckpointError, check_detector, load_detector


@pytest.fixture
def detector():
    """As much of a detector as names go: a backbone, and a head of three classes."""
    return nn.ModuleDict({"backbone": MaxViT(SMALL), "bbox_head": nn.Linear(4, 3)})


@pytest.fixture
def checkpoint(detector):
    """As MMEngine writes it, with other values than the detector's."""
    state = {name: torch.full_like(tensor, 2) for name, tensor in detector.state_dict().items()}
    return {"state_dict": state, "meta": {"dataset_meta": {"classes": ("cat", "cow", "dog")}}}


def test_a_whole_checkpoint_is_loaded_and_tells_its_classes(detector, checkpoint, tmp_path):
    torch.save(checkpoint, tmp_path / "d.pth")
    about = load_detector(detector, str(tmp_path / "d.pth"))
    assert about["dataset_meta"]["classes"] == ("cat", "cow", "dog")
    assert all((tensor == 2).all() for tensor in detector.state_dict().values())


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_the_names_of_a_parallel_run_are_the_detectors_own(detector, checkpoint, tmp_path, key):
    state = {f"module.{name}": tensor for name, tensor in checkpoint["state_dict"].items()}
    torch.save({key: state}, tmp_path / "d.pth")
    assert load_detector(detector, str(tmp_path / "d.pth")) == {}
    assert (detector["bbox_head"].bias == 2).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("bbox_head.bias"), "1 missing: bbox_head.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 left over: extra"),
        (lambda state: state["bbox_head.bias"].fill_(torch.nan), "1 not finite: bbox_head.bias"),
        (
            lambda state: state.update({"bbox_head.bias": torch.zeros(5)}),
            r"bbox_head.bias \[5\] instead of \[3\]",
        ),
    ],
)
def test_half_a_checkpoint_leaves_the_detector_as_it_was(detector, checkpoint, tmp_path, change, words):
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    change(checkpoint["state_dict"])
    torch.save(checkpoint, tmp_path / "d.pth")
    with pytest.raises(CheckpointError, match=words):
        load_detector(detector, str(tmp_path / "d.pth"))
    assert all(tensor.equal(before[name]) for name, tensor in detector.state_dict().items())


def test_what_is_no_state_dict_is_said_to_be_none(detector, tmp_path):
    torch.save({"epoch": 3}, tmp_path / "d.pth")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        load_detector(detector, str(tmp_path / "d.pth"))


def test_a_backbones_checkpoint_is_called_what_it_is(detector):
    backbone = detector["backbone"].state_dict()
    with pytest.raises(CheckpointError, match=r"b\.pth is a backbone .*init_cfg\.checkpoint=b\.pth"):
        check_detector(detector, {"state_dict": backbone}, "b.pth")


def test_other_heads_are_told_and_another_backbone_is_refused(detector, checkpoint):
    state = checkpoint["state_dict"]
    state["bbox_head.bias"] = torch.zeros(5)
    with pytest.raises(CheckpointError, match="does not fit this detector"):
        check_detector(detector, checkpoint, "d.pth")
    told = check_detector(detector, checkpoint, "d.pth", other_heads=True)
    assert told == "  1 of another shape: bbox_head.bias [5] instead of [3]"
    state["bbox_head.bias"].fill_(torch.nan)
    with pytest.raises(CheckpointError, match=r"1 not finite: bbox_head\.bias"):
        check_detector(detector, checkpoint, "d.pth", other_heads=True)
    del state["backbone.trunk.stem.conv1.weight"]
    with pytest.raises(CheckpointError, match=r"1 missing: backbone\.trunk\.stem\.conv1\.weight"):
        check_detector(detector, checkpoint, "d.pth", other_heads=True)


def test_an_average_is_looked_at_as_the_weights_are(detector, checkpoint):
    average = {f"module.{name}": tensor for name, tensor in checkpoint["state_dict"].items()}
    checkpoint["ema_state_dict"] = {**average, "steps": torch.tensor(7)}
    assert check_detector(detector, checkpoint, "d.pth") == ""
    del checkpoint["ema_state_dict"]["module.bbox_head.bias"]
    with pytest.raises(CheckpointError, match=r"1 missing: bbox_head\.bias"):
        check_detector(detector, checkpoint, "d.pth")
