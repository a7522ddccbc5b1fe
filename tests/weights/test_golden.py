"""What Google's TensorFlow code computes, through the converter and our network: the judge of exactness."""

import json

import numpy as np
import pytest
import tensor_bundle
import torch
from conftest import FILES
from safetensors.torch import load_file

from maxvit_mm.commands.convert_weights import main
from maxvit_mm.network import VARIANTS
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.weights import Architecture, tensorflow

DATA = FILES
GOLDEN = DATA / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.npz"))


@pytest.fixture(autouse=True)
def reader(monkeypatch):
    """TensorFlow is no part of the test environment; its own reader is held to this one in tests/peers."""
    monkeypatch.setattr(tensorflow, "import_reader", lambda: tensor_bundle.load_checkpoint)


def distance(ours, theirs):
    """As a share of the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("case", CASES)
def test_every_stored_array_is_what_we_compute(case, tmp_path):
    about = json.loads((GOLDEN / f"{case}.json").read_text())
    main([str(GOLDEN / about["ckpt"]), str(tmp_path / "ours.pth")])
    model = MaxViTClassifier.from_checkpoint(str(tmp_path / "ours.pth"))
    stored = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN / f"{case}.npz").items()}
    images = stored.pop("input").permute(0, 3, 1, 2)
    # 'scaled' gives 7, 8, 12 and 14 by itself, but for the image that is not square
    model.trunk.partition_size = 7 if case == "C_w7_224x448" else "scaled"
    with torch.no_grad():
        maps = model.trunk(images)
        found = {f"stage_{i}": m.permute(0, 2, 3, 1) for i, m in enumerate(maps, start=1)}
        found["pooled_features"] = maps[-1].mean((2, 3))
        found["normed_features"] = model.head.norm(found["pooled_features"])
        found["logits"] = model(images)
    assert {"stage_4", "logits"} <= stored.keys() <= found.keys()
    for name, array in stored.items():
        assert distance(found[name], array) < 5e-6, name


@pytest.mark.parametrize("name", ["Tiny", "Small", "Base", "Large", "XLarge"])
def test_the_variables_of_the_released_models_map_onto_ours_one_to_one(name):
    listed = json.loads((GOLDEN / "variables" / f"MaxViT{name}_224.json").read_text())
    names = [f"{variable}{listed['ema_suffix']}" for variable in listed["variables"]]
    chosen, _ = tensorflow.choose([*names, "global_step"])
    assert chosen == dict(zip(listed["variables"], names, strict=True))
    tensors = {name: torch.empty(shape, device="meta") for name, shape in listed["variables"].items()}
    found, missing, left_over = tensorflow.TRANSLATION.to_ours(tensors)
    assert missing == left_over == []
    own = Architecture(VARIANTS[name.lower()], 7, "official", 1000).build().state_dict()
    own = {name: tensor for name, tensor in own.items() if not name.endswith("num_batches_tracked")}
    assert {name: tensor.shape for name, tensor in found.items()} == {n: t.shape for n, t in own.items()}


@pytest.mark.parametrize("origin", ["timm", "torchvision"])
def test_stored_results_of_other_implementations_are_what_we_compute(origin, tmp_path):
    main([str(DATA / f"{origin}.safetensors"), str(tmp_path / "ours.pth")])
    model = MaxViTClassifier.from_checkpoint(str(tmp_path / "ours.pth"))
    assert model.about["origin"] == origin
    stored = load_file(DATA / f"{origin}_outputs.safetensors")
    images = stored["input"] / 64 - 2
    with torch.no_grad():
        for i, m in enumerate(model.trunk(images)):
            assert distance(m[..., :: 8 >> i, :: 8 >> i], stored[f"map_{i}"]) < 5e-6
        assert distance(model(images), stored["logits"]) < 5e-6
