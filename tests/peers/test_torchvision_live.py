"""Converted weights against torchvision's `maxvit_t` itself: random ones in every tensor."""

import pytest
import torch
from conftest import randomise
from torchvision.models import maxvit_t

from maxvit_mm import MaxViT
from maxvit_mm.commands.convert_weights import main
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.weights import CheckpointError


def test_maps_and_logits_are_torchvisions(tmp_path):
    model = randomise(maxvit_t()).eval()
    torch.save(model.state_dict(), tmp_path / "torchvision.pth")
    main([str(tmp_path / "torchvision.pth"), str(tmp_path / "ours.pth")])
    ours = MaxViTClassifier.from_checkpoint(str(tmp_path / "ours.pth"))
    backbone = MaxViT(
        convention="torchvision", init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "ours.pth"))
    )
    backbone.init_weights()
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        x, maps = model.stem(images), []
        for block in model.blocks:
            x = block(x)
            maps.append(x)
        for mine, theirs in zip(backbone.eval()(images), maps, strict=True):
            assert (mine - theirs).abs().max() < 5e-6 * theirs.abs().max()
        logits = model(images)
        assert (ours(images) - logits).abs().max() < 5e-6 * logits.abs().max()

    backbone = MaxViT(init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "ours.pth")))
    with pytest.raises(CheckpointError, match="set convention='torchvision'"):
        backbone.init_weights()
