"""Evaluation as a user starts it."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from runs import PICO, QUICK, forget_runs, refusal

from maxvit_mm.commands.test import main as evaluate
from maxvit_mm.commands.test import use_tta
from maxvit_mm.openmmlab.shipped_configs import find_config
from maxvit_mm.openmmlab.tasks import task_of

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_evaluation_writes_predictions_and_draws_pictures(trained, shapes, tmp_path):
    options = ["--data", str(shapes), "--out", "found.pkl", "--show-dir", str(tmp_path / "pictures")]
    metrics = evaluate([PICO, str(trained / "iter_2.pth"), *options, "--cfg-options", *QUICK])
    assert {"coco/bbox_mAP", "coco/segm_mAP"} <= metrics.keys()
    assert len(pickle.loads(Path("found.pkl").read_bytes())) == 3  # ours, written a line above
    assert len(list((tmp_path / "pictures").iterdir())) == 3


def test_a_checkpoint_is_tested_alone_beside_its_training_and_writes_over_nothing(trained, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    metrics = evaluate([str(run / "iter_2.pth"), "--tta"])
    assert {"coco/bbox_mAP", "coco/segm_mAP"} <= metrics.keys()
    assert {path: path.read_bytes() for path in before} == before
    files = (path for path in run.rglob("*") if path.is_file())
    assert {path.relative_to(run).parts[0] for path in files if path not in before} == {"test"}
    (dumped,) = (run / "test").glob("*/config.py")
    assert "InstanceTTAModel" in dumped.read_text()
    assert "note:" not in capsys.readouterr().out


def test_what_a_config_does_otherwise_than_the_training_is_said_with_both_values(
    trained, shapes, monkeypatch, capsys
):
    monkeypatch.setattr("maxvit_mm.commands.test.build_runner", lambda *_: 1 / 0)
    options = ["--img-scale", "64", "--cfg-options", "model.test_cfg.rcnn.score_thr=0.3"]
    with pytest.raises(ZeroDivisionError):
        evaluate([PICO, str(trained / "iter_2.pth"), "--data", str(shapes), *options])
    screen = capsys.readouterr().out
    assert "images are resized to 64 x 64 here, and were taken as they are in the training" in screen
    assert "model.test_cfg.rcnn.score_thr is 0.3 here, and was 0.05 in the training" in screen


def test_evaluation_needs_no_training_split(trained, shapes, tmp_path):
    folder = shutil.copytree(shapes, tmp_path / "val_only")
    shutil.rmtree(folder / "train2017")
    (folder / "annotations/instances_train2017.json").unlink()
    options = ["--data", str(folder), "--cfg-options", *QUICK]
    assert "coco/bbox_mAP" in evaluate([PICO, str(trained / "iter_2.pth"), *options])


def test_test_time_augmentation_keeps_the_masks(trained, shapes):
    options = ["--data", str(shapes), "--tta", "--cfg-options", *QUICK]
    metrics = evaluate([PICO, str(trained / "iter_2.pth"), *options])
    assert "coco/segm_mAP" in metrics


def test_the_views_of_test_time_augmentation_differ_and_the_truth_is_the_images_own(shapes):
    cfg = Config.fromfile(find_config(PICO))
    cfg.test_dataloader.dataset.update(data_root=str(shapes))
    plain = DATASETS.build(cfg.test_dataloader.dataset)[0]
    use_tta(cfg, task_of(cfg))
    views = DATASETS.build(cfg.test_dataloader.dataset)[0]
    assert [sample.flip for sample in views["data_samples"]] == [False, True]
    assert views["inputs"][0].equal(plain["inputs"])
    assert views["inputs"][1].equal(plain["inputs"].flip(2))
    truth, own = (sample.gt_instances.bboxes for sample in (views["data_samples"][0], plain["data_samples"]))
    assert truth.tensor.equal(own.tensor)


def test_a_deployed_backbone_finds_the_same(trained, shapes, tmp_path):
    checkpoint = trained / "iter_2.pth"
    before = checkpoint.read_bytes()
    arguments = [PICO, str(checkpoint), "--data", str(shapes), "--work-dir", "w"]
    options = [
        "--cfg-options",
        *QUICK,
        "model.test_cfg.rcnn.score_thr=0.0",
        "model.test_cfg.rcnn.max_per_img=20",
    ]
    options += [
        "custom_hooks.5.type=EMAHook"
    ]  # of a config with averages; it must not exchange folded weights
    found = []
    for more in ([], ["--deploy"]):
        evaluate([*arguments, *more, "--out", str(tmp_path / "found.pkl"), *options])
        found.append(pickle.loads((tmp_path / "found.pkl").read_bytes()))
    for plain, deployed in zip(*found, strict=True):
        scores = (sample["pred_instances"]["scores"] for sample in (plain, deployed))
        torch.testing.assert_close(*scores, rtol=1e-3, atol=1e-5)
    assert checkpoint.read_bytes() == before


def test_a_wrong_checkpoint_is_refused_without_a_traceback(shapes, tmp_path):
    assert "no checkpoint" in refusal(evaluate, PICO, "none.pth", "--data", str(shapes))
    Path("page.pth").write_text("<html>")
    assert "web page" in refusal(evaluate, PICO, "page.pth", "--data", str(shapes))


def test_a_checkpoint_of_another_network_is_refused_and_not_evaluated(shapes):
    torch.save({"state_dict": {"some.weight": torch.zeros(3)}}, "other.pth")
    message = refusal(evaluate, PICO, "other.pth", "--data", str(shapes), "--cfg-options", *QUICK)
    assert "other.pth does not fit this detector; nothing was started" in message
    assert "1 left over: some.weight" in message


@pytest.fixture
def reordered(shapes, tmp_path):
    """The same data: other order and numbers of the classes, and a test split."""
    folder = shutil.copytree(shapes, tmp_path / "reordered")
    file = folder / "annotations/instances_val2017.json"
    content = json.loads(file.read_text())
    content["categories"] = content["categories"][::-1]
    for entry, key in [(each, "id") for each in content["categories"]] + [
        (each, "category_id") for each in content["annotations"]
    ]:
        entry[key] = 90 - 7 * entry[key]
    file.write_text(json.dumps(content))
    content["images"] = content["images"][:2]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
    (folder / "annotations/instances_test.json").write_text(json.dumps(content))
    shutil.copytree(folder / "val2017", folder / "test")
    return folder


def test_classes_in_another_order_are_refused_and_looked_up_by_name_on_request(
    trained, shapes, reordered, capsys
):
    checkpoint = str(trained / "iter_2.pth")
    options = ["--cfg-options", *QUICK, "model.test_cfg.rcnn.score_thr=0.0"]
    message = refusal(evaluate, PICO, checkpoint, "--data", reordered, *options)
    assert "in another order, disk, square, triangle, star, and here they are star, triangle" in message
    assert "the test split" in capsys.readouterr().out.lower()
    wanted = evaluate([PICO, checkpoint, "--data", str(shapes), "--work-dir", "a", *options])
    forget_runs()
    found = evaluate(
        [PICO, checkpoint, "--data", str(reordered), "--work-dir", "b", "--classes-by-name", *options]
    )
    assert found == pytest.approx(wanted, nan_ok=True)


def test_the_test_split_is_evaluated_on_request(trained, reordered, tmp_path, capsys):
    options = ["--data", str(reordered), "--split", "test", "--classes-by-name", "--out", "found.pkl"]
    evaluate([PICO, str(trained / "iter_2.pth"), *options, "--cfg-options", *QUICK])
    assert len(pickle.loads(Path("found.pkl").read_bytes())) == 2  # ours, written a line above
    assert "instances_test.json" in capsys.readouterr().out


def test_predictions_are_written_as_what_they_are():
    assert ".pkl" in refusal(evaluate, PICO, "c.pth", "--out", "found.json")
