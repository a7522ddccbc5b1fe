"""What a training may start from, and what is said of it."""

from pathlib import Path

import pytest
import torch
from conftest import ROOT, about_weights
from runs import HALF, PICO, TWO_STEPS, pretrained, refusal

from maxvit_mm import MaxViT
from maxvit_mm.commands.train import main as train
from maxvit_mm.weights import Weights, write_weights
from maxvit_mm.weights.checkpoint import load_from_local

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_a_detector_whose_weights_miss_a_tensor_does_not_start(shapes):
    weights = MaxViT("pico").state_dict()
    del weights["trunk.stages.1.0.mbconv.shrink.weight"]
    torch.save(weights, "w.pth")
    options = ["--cfg-options", *TWO_STEPS, *pretrained("w.pth")]
    message = refusal(train, PICO, "--data", str(shapes), "--work-dir", "w", *options)
    assert "1 missing: trunk.stages.1.0.mbconv.shrink.weight" in message
    assert not list(Path("w").glob("*.pth"))


def test_another_normalisation_than_the_weights_own_is_reported_before_the_first_step(shapes):
    about = about_weights(mean=[127.5] * 3, std=[127.5] * 3)
    write_weights(Path("w.pth"), Weights(MaxViT("pico").state_dict(), about))
    options = ["--cfg-options", *TWO_STEPS, *pretrained("w.pth")]
    train([PICO, "--data", str(shapes), "--work-dir", "w", *options])
    log = next(Path("w").glob("*/*.log")).read_text()
    said = log.index("NORMALISATION DIFFERS: the pretrained weights (w.pth) were trained with mean [127.5,")
    assert log.index("loaded 260 of 260 tensors from w.pth") < said < log.index("Iter(train)")


def test_a_checkpoint_of_another_network_starts_no_training(shapes):
    torch.save({"state_dict": {"some.weight": torch.zeros(3)}}, "other.pth")
    options = ["--cfg-options", *TWO_STEPS, "load_from=other.pth"]
    assert "does not fit" in refusal(train, PICO, "--data", str(shapes), *options)
    options = ["--cfg-options", "model.init_cfg.type=Pretrained", "model.init_cfg.checkpoint=other.pth"]
    assert "load_from" in refusal(train, PICO, "--data", str(shapes), *options)


def test_averaged_weights_are_accounted_for_as_the_others(shapes):
    options = ["--data", str(shapes), "--work-dir", "w", "--cfg-options", *TWO_STEPS, *HALF]
    Path("ema.py").write_text(
        f"_base_ = {str(ROOT / 'configs' / PICO)!r} + '.py'\n"
        "custom_hooks = [dict(type='CompleteLoadHook'), dict(type='EMAHook')]\n"
    )
    train(["ema.py", *options])
    checkpoint = load_from_local("w/iter_2.pth")
    del checkpoint["ema_state_dict"]["module.backbone.trunk.stem.conv1.weight"]
    torch.save(checkpoint, "w/iter_2.pth")
    message = refusal(train, "ema.py", *options[:4], "--resume", "--cfg-options", *TWO_STEPS)
    assert "1 missing: backbone.trunk.stem.conv1.weight" in message


def test_what_is_not_finite_never_starts_a_training(trained, shapes):
    state = load_from_local(str(trained / "iter_2.pth"))["state_dict"]
    state["neck.fpn_convs.0.conv.weight"][0] = torch.nan
    torch.save({"state_dict": state}, "nan.pth")
    message = refusal(train, PICO, "--data", str(shapes), "--cfg-options", *TWO_STEPS, "load_from=nan.pth")
    assert "1 not finite: neck.fpn_convs.0.conv.weight" in message


def test_backbone_weights_in_the_place_of_a_detectors_are_sent_where_they_belong(shapes):
    torch.save(MaxViT("pico").state_dict(), "w.pth")
    message = refusal(train, PICO, "--data", str(shapes), "--cfg-options", *TWO_STEPS, "load_from=w.pth")
    assert "w.pth is a backbone and no detector: name it with model.backbone.init_cfg.type=Pret" in message


def test_heads_for_other_classes_may_start_at_random(trained, shapes, tmp_path):
    checkpoint = torch.load(trained / "iter_2.pth", weights_only=False)  # our own, made above
    state = checkpoint["state_dict"]
    name = "roi_head.bbox_head.fc_cls.weight"
    torch.save({"state_dict": {**state, name: state[name][:2]}}, "other_classes.pth")
    options = ["--cfg-options", *TWO_STEPS, "load_from=other_classes.pth"]
    train([PICO, "--data", str(shapes), "--work-dir", "w", *options])
    log = next(Path("w").glob("*/*.log")).read_text()
    assert "other_classes.pth fits only in part; the rest starts at random" in log


def test_a_released_size_that_starts_from_random_weights_says_so(shapes, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("maxvit_mm.commands.train.build_runner", lambda cfg: 1 / 0)
    (tmp_path / "w.pth").touch()
    for config, options, says in (
        ("mask_rcnn_maxvit_t_coco", [], True),
        ("mask_rcnn_maxvit_t_coco", ["--cfg-options", *pretrained(tmp_path / "w.pth")], False),
        ("mask_rcnn_maxvit_t_coco", ["--resume", str(tmp_path / "w.pth")], False),
        ("mask_rcnn_maxvit_t_coco", ["--resume"], True),  # for there is nothing to resume
        (PICO, [], False),
    ):
        with pytest.raises(ZeroDivisionError):
            train([config, "--data", str(shapes), "--work-dir", str(tmp_path / "new"), *options])
        said = capsys.readouterr().out
        assert ("starts from random weights" in said) == says
        assert ("no checkpoint in" in said) == (options == ["--resume"])
