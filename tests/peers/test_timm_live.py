"""Converted weights against timm itself: random ones in every tensor."""

import pytest
import timm
import torch
from conftest import randomise

from maxvit_mm.commands.convert_weights import main
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.weights import convert, write_weights

SIZES = ("tiny", "small", "base", "xlarge")  # large is base, wider, and takes two minutes


def distance(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


def timm_model(name, **arguments):
    model = timm.create_model(name, **arguments).eval()
    randomise(model)
    return model


def saved(model, path):
    torch.save(model.state_dict(), path)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_maps_and_logits_are_timms_and_the_way_back_is_exact(size, tmp_path):
    model = timm_model(f"maxvit_{size}_tf_224", num_classes=21843 if size == "xlarge" else 1000)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        maps, logits = model.forward_intermediates(images)[1][-4:], model(images)

    main([str(saved(model, tmp_path / "timm.pth")), str(tmp_path / "ours.safetensors")])
    ours = MaxViTClassifier.from_checkpoint(str(tmp_path / "ours.safetensors"))
    assert ours.about["arch"] == size
    assert ours.about["normalization"] == ("inception" if size == "xlarge" else "imagenet")
    with torch.no_grad():
        for mine, theirs in zip(ours.trunk(images), maps, strict=True):
            assert distance(mine, theirs) < 5e-6
        assert distance(ours(images), logits) < 5e-6

    main([str(tmp_path / "ours.safetensors"), str(tmp_path / "back.pth"), "--to", "timm"])
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    model.load_state_dict(back, strict=True)
    assert all(back[name].equal(tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("pixels", "partition"), [(384, 12), (512, 16)])
def test_tables_of_larger_images_are_read_as_timm_reads_them(pixels, partition, tmp_path):
    model = timm_model(f"maxvit_tiny_tf_{pixels}")
    images = torch.randn(1, 3, pixels, pixels)
    with torch.no_grad():
        logits = model(images)
    converted = convert(saved(model, tmp_path / "timm.pth"))
    assert converted.architecture.table_partition_size == partition
    assert converted.weights.about["image_size"] == pixels
    assert converted.weights.about["normalization"] == "inception"
    write_weights(tmp_path / "ours.pth", converted.weights)
    ours = MaxViTClassifier.from_checkpoint(str(tmp_path / "ours.pth"))
    with torch.no_grad():
        assert distance(ours(images), logits) < 5e-6


def test_timm_takes_a_file_that_we_wrote_for_it(tmp_path):
    model = timm_model("maxvit_tiny_tf_384")
    main([str(saved(model, tmp_path / "timm.pth")), str(tmp_path / "back.safetensors"), "--to", "timm"])
    loaded = timm.create_model("maxvit_tiny_tf_384", checkpoint_path=str(tmp_path / "back.safetensors"))
    assert all(loaded.state_dict()[name].equal(tensor) for name, tensor in model.state_dict().items())


def test_timms_own_designs_are_refused(tmp_path, capsys):
    model = timm_model("maxvit_tiny_rw_224")
    with pytest.raises(SystemExit, match="one of timm's own MaxViT designs"):
        main([str(saved(model, tmp_path / "timm.pth")), str(tmp_path / "ours.pth")])
    assert not (tmp_path / "ours.pth").exists()
