"""Checkpoints as other people's scripts write them."""

import argparse
import collections
from pathlib import Path

import pytest
import torch

from maxvit_mm.weights import CheckpointError, read_weights
from maxvit_mm.weights.wrappings import find_state

RAW = {"stem.weight": torch.zeros(2), "head.bias": torch.zeros(1)}
MEAN = {name: tensor + 1 for name, tensor in RAW.items()}


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


COUNTED = {"n_averaged": torch.tensor(9), **under("module.", MEAN)}  # torch.optim.swa_utils.AveragedModel
SCRIPTS = {  # what is in the file; whether the raw weights or the average are in it
    "tensors alone": (RAW, "raw"),
    "OpenMMLab": ({"state_dict": RAW, "meta": {}}, "raw"),
    "torchvision": ({"model": RAW, "optimizer": {}, "epoch": 3}, "raw"),
    "parallel": ({"state_dict": under("module.", RAW)}, "raw"),
    "compiled and parallel": ({"model": under("module._orig_mod.", RAW)}, "raw"),
    "Lightning": ({"state_dict": under("model.", RAW), "hyper_parameters": {"lr": 1}}, "raw"),
    "wrapped twice": ({"checkpoint": 1, "model": {"state_dict": RAW}}, "raw"),
    "timm with an average": ({"state_dict": RAW, "state_dict_ema": MEAN, "metric": 80.1}, "both"),
    "torchvision with an average": ({"model": RAW, "model_ema": COUNTED}, "both"),
    "DeepSpeed": ({"module": RAW, "ds_version": "0.14", "global_steps": 3}, "raw"),
    "an average inside": ({"model": RAW, "ema": {"updates": 7, "state_dict": MEAN}}, "both"),
    "an average alone": ({"model_ema": COUNTED}, "average"),
    "MMEngine with an average": ({"state_dict": MEAN, "ema_state_dict": RAW, "message_hub": {}}, "average"),
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("average", [True, False])
def test_the_average_is_taken_and_said_where_a_file_holds_both(script, average):
    content, kind = SCRIPTS[script]
    tensors, note = find_state(content, "w.pth", average)
    wanted = MEAN if kind == "average" or (kind == "both" and average) else RAW
    assert tensors.keys() == wanted.keys()
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)
    assert bool(note) == (kind == "both")
    assert not note or ("the average" if average else "the raw weights") in note


@pytest.mark.parametrize(
    "content", [[], {"a": 1}, {"state_dict": 3}, {"model": {"net": {"epoch": 3}}}, torch.ones(2)]
)
def test_what_holds_no_weights_is_refused(content):
    with pytest.raises(CheckpointError, match="holds no state dict"):
        find_state(content, "w.pth")


def test_weights_under_other_names_are_pointed_at():
    with pytest.raises(CheckpointError, match="it has one below 'student' and 'teacher': save that alone"):
        find_state({"student": RAW, "teacher": MEAN, "epoch": 3}, "w.pth")


def test_a_command_line_beside_the_weights_is_data(tmp_path):
    args = argparse.Namespace(model="maxvit", data=Path("/data"), lr=1e-3, opt=collections.OrderedDict(a=1))
    torch.save({"state_dict": RAW, "args": args}, tmp_path / "w.pth")
    assert read_weights(str(tmp_path / "w.pth")).tensors.keys() == RAW.keys()


class Recipe:
    """What a script might put into its checkpoint."""


def test_other_objects_are_refused_with_the_way_on(tmp_path):
    torch.save({"state_dict": RAW, "recipe": Recipe()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"torch\.save\(model\.state_dict\(\), FILE\)"):
        read_weights(str(tmp_path / "w.pth"))
